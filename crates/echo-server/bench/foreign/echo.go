// Go: a goroutine per connection, as the net package's own example, with its buffer of 16 KiB.
package main

import (
	"fmt"
	"net"
	"os"
)

func echo(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 16*1024)
	for {
		n, err := connection.Read(buffer)
		if n > 0 {
			if _, err := connection.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("listening on tcp://%s\n", listener.Addr())
	for {
		connection, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go echo(connection)
	}
}
