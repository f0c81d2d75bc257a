// To run this program, open a terminal (menu View, Terminal) and type: java Main.java Ada

/** Says hello to whoever is named. */
public class Main {
    public static void main(String[] args) {
        System.out.println(greeting(args.length > 0 ? args[0] : "world"));
    }

    static String greeting(String name) {
        return "Hello, " + name + "!";
    }
}
