/** Run it with -ea: without, Java passes assertions over. */
public class MainTest {
    public static void main(String[] args) {
        assert Main.greeting("Ada").equals("Hello, Ada!") : Main.greeting("Ada");
        System.out.println("All is well.");
    }
}
