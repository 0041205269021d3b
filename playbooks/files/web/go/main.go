// Command web serves the files of a folder: web FOLDER PORT
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: web FOLDER PORT")
	}
	files := http.FileServer(http.Dir(os.Args[1]))
	server := &http.Server{
		Addr: ":" + os.Args[2],
		Handler: http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
			if request.Method != http.MethodGet && request.Method != http.MethodHead {
				http.Error(reply, "Method Not Allowed", http.StatusMethodNotAllowed)
				return
			}
			files.ServeHTTP(reply, request)
		}),
	}
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ended := make(chan struct{})
	go func() {
		<-asked.Done()
		server.Shutdown(context.Background())
		close(ended)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
}
