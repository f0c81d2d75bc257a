// To run this program, open a terminal (menu View, Terminal) and type: go run . Ada
package main

import (
	"fmt"
	"os"
)

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Println(greeting(name))
}

// greeting says hello to whoever is named.
func greeting(name string) string {
	return "Hello, " + name + "!"
}
