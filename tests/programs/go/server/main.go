// An HTTP server as one writes it with Go's standard library, for clients outside to drive.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var served atomic.Int64

// A key-value store, so that requests have effects on one another.
type store struct {
	sync.RWMutex
	values map[string][]byte
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/kv/")
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Lock()
		s.values[key] = body
		s.Unlock()
		w.WriteHeader(http.StatusCreated)
	case http.MethodGet:
		s.RLock()
		body, found := s.values[key]
		s.RUnlock()
		if !found {
			http.NotFound(w, r)
			return
		}
		w.Write(body)
	case http.MethodDelete:
		s.Lock()
		delete(s.values, key)
		s.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "GET, PUT or DELETE", http.StatusMethodNotAllowed)
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello, %s\n", r.URL.Query().Get("name"))
}

// The digest of what is sent, read as it comes.
func digest(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	size, err := io.Copy(hash, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %s\n", size, hex.EncodeToString(hash.Sum(nil)))
}

// size bytes of a known pattern, in many writes.
func bulk(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.URL.Query().Get("size"))
	if err != nil || size < 0 {
		http.Error(w, "size?", http.StatusBadRequest)
		return
	}
	line := []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n")
	for size > 0 {
		part := line
		if len(part) > size {
			part = part[:size]
		}
		if _, err := w.Write(part); err != nil {
			return
		}
		size -= len(part)
	}
}

// Events with pauses, each sent at once.
func events(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 5; i++ {
		fmt.Fprintf(w, "event %d\n", i)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// Asks itself over loopback, as programs behind a proxy do.
func relay(w http.ResponseWriter, r *http.Request) {
	answer, err := http.Get("http://" + r.Host + "/hello?name=myself")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	io.Copy(w, answer.Body)
}

func file(w http.ResponseWriter, r *http.Request) {
	http.ServeFile(w, r, "/usr/share/zoneinfo/Europe/Berlin")
}

func stats(w http.ResponseWriter, _ *http.Request) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	json.NewEncoder(w).Encode(map[string]any{
		"served": served.Load(), "cpus": runtime.NumCPU(), "goroutines": runtime.NumGoroutine(),
		"collections": memory.NumGC,
	})
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/digest", digest)
	mux.HandleFunc("/bulk", bulk)
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/relay", relay)
	mux.HandleFunc("/file", file)
	mux.HandleFunc("/stats", stats)
	mux.Handle("/kv/", &store{values: map[string][]byte{}})
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			mux.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 2 * time.Second,
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	ended := make(chan struct{})
	mux.HandleFunc("/quit", func(http.ResponseWriter, *http.Request) {
		syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
	})
	go func() {
		<-stop
		within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(within); err != nil {
			log.Print(err)
		}
		close(ended)
	}()
	fmt.Println("listening")
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-ended
	fmt.Println("shut down in order")
}
