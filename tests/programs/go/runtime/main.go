// What Go's runtime asks of a kernel: threads, futexes, timers, signals that interrupt loops, memory
// given and taken back, files and sockets through its poller. Says the same on each right kernel.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(what string, good bool) {
	fmt.Printf("%s: %v\n", what, good)
}

// Loops without calls can be stopped only by a signal (SIGURG); a collection has to stop them all.
func preemption() {
	var stop atomic.Bool
	var spinning sync.WaitGroup
	count := runtime.GOMAXPROCS(0) + 2
	for i := 0; i < count; i++ {
		spinning.Add(1)
		go func() {
			defer spinning.Done()
			for n := 0; !stop.Load(); n++ {
			}
		}()
	}
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	time.Sleep(20 * time.Millisecond)
	stop.Store(true)
	spinning.Wait()
	check("collections while all spin", true)
}

func goroutines() {
	const count = 10000
	in := make(chan int)
	out := make(chan int)
	var workers sync.WaitGroup
	for i := 0; i < count; i++ {
		workers.Add(1)
		go func() { defer workers.Done(); out <- 2 * <-in }()
	}
	go func() {
		for i := 0; i < count; i++ {
			in <- i
		}
		workers.Wait()
		close(out)
	}()
	sum := 0
	for value := range out {
		sum += value
	}
	fmt.Println("sum of 10000 goroutines", sum)
}

// Goroutines that keep a thread each.
func threads() {
	var group sync.WaitGroup
	ids := make(chan int, 50)
	gate := make(chan struct{})
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			ids <- syscall.Gettid()
			<-gate
		}()
	}
	seen := map[int]bool{}
	for i := 0; i < 50; i++ {
		seen[<-ids] = true
	}
	close(gate)
	group.Wait()
	fmt.Println("locked threads", len(seen))
}

func timers() {
	var early atomic.Int64
	var group sync.WaitGroup
	for _, ms := range []int{150, 50, 250, 1, 100} {
		wanted := time.Duration(ms) * time.Millisecond
		begun := time.Now()
		group.Add(1)
		time.AfterFunc(wanted, func() {
			defer group.Done()
			if time.Since(begun) < wanted {
				early.Add(1)
			}
		})
	}
	group.Wait()
	fmt.Println("timers that came early:", early.Load())
	ticker := time.NewTicker(5 * time.Millisecond)
	begun := time.Now()
	for i := 0; i < 10; i++ {
		<-ticker.C
	}
	ticker.Stop()
	check("ten ticks take their time", time.Since(begun) >= 49*time.Millisecond)
	within, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-within.Done()
	fmt.Println("context:", within.Err())
}

func signals() {
	got := make(chan os.Signal, 10)
	signal.Notify(got, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGWINCH)
	for _, number := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGWINCH} {
		syscall.Kill(syscall.Getpid(), number)
		fmt.Println("signal:", <-got)
	}
	signal.Reset()
	signal.Ignore(syscall.SIGHUP)
	syscall.Kill(syscall.Getpid(), syscall.SIGHUP)
	check("ignored", signal.Ignored(syscall.SIGHUP))
}

type node struct{ left, right *node }

func build(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{build(depth - 1), build(depth - 1)}
}

func memory() {
	kept := build(16)
	for i := 0; i < 20; i++ {
		build(14)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	check("collected", before.NumGC > 0)
	runtime.KeepAlive(kept)
	big := make([]byte, 64<<20)
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	runtime.KeepAlive(big)
	big = nil
	debug.FreeOSMemory()
	runtime.ReadMemStats(&after)
	check("given back", after.HeapReleased >= 64<<20)
}

func faults() {
	try := func(what string, act func()) {
		defer func() { fmt.Printf("%s: %v\n", what, recover()) }()
		act()
	}
	var none *node
	try("nil", func() { none.left = nil })
	zero := 0
	try("division", func() { fmt.Println(1 / zero) })
	try("index", func() { fmt.Println([]int{1}[zero+3]) })
	debug.SetPanicOnFault(true)
	data, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		fmt.Println(err)
		return
	}
	try("write to read-only memory", func() { data[0] = 1 })
	syscall.Munmap(data)
}

func deep(n int) int {
	var pad [200]byte
	pad[n%200] = 1
	if n == 0 {
		return 0
	}
	return deep(n-1) + int(pad[n%200])
}

func files() {
	folder, err := os.MkdirTemp("", "go")
	check("folder", err == nil)
	name := filepath.Join(folder, "file")
	check("write", os.WriteFile(name, bytes.Repeat([]byte("line\n"), 1000), 0o600) == nil)
	info, _ := os.Stat(name)
	fmt.Println("size", info.Size(), "mode", info.Mode())
	check("rename", os.Rename(name, name+"2") == nil)
	source, _ := os.Open(name + "2")
	target, _ := os.Create(name)
	count, err := io.Copy(target, source) // copy_file_range
	fmt.Println("copied", count, err)
	target.Close()
	source.Close()
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		fmt.Println("entry", entry.Name())
	}
	_, err = os.Open(filepath.Join(folder, "none"))
	check("none", errors.Is(err, os.ErrNotExist))
	read, write, _ := os.Pipe()
	read.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = read.Read(make([]byte, 1))
	check("deadline of a pipe", errors.Is(err, os.ErrDeadlineExceeded))
	write.Close()
	_, err = read.Read(make([]byte, 1))
	fmt.Println("closed pipe:", err)
	check("remove", os.RemoveAll(folder) == nil)
	me, err := user.Current()
	fmt.Println("user", me.Username, me.HomeDir, err)
	working, err := os.Getwd()
	fmt.Println("in", working, err)
}

func echo(network, address string) {
	listener, err := net.Listen(network, address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }() // splice
		}
	}()
	var group sync.WaitGroup
	var good atomic.Int64
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func(seed byte) {
			defer group.Done()
			conn, err := net.Dial(network, listener.Addr().String())
			if err != nil {
				fmt.Println(err)
				return
			}
			defer conn.Close()
			sent := bytes.Repeat([]byte{seed}, 100000)
			go conn.Write(sent)
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(conn, got); err == nil && bytes.Equal(sent, got) {
				good.Add(1)
			}
		}(byte(i))
	}
	group.Wait()
	fmt.Println("echoed over", network, good.Load())
}

func sockets() {
	echo("tcp4", "127.0.0.1:0")
	echo("tcp6", "[::1]:0")
	echo("unix", "/tmp/go-echo")
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	check("udp", err == nil)
	conn.WriteTo([]byte("to myself"), conn.LocalAddr())
	buffer := make([]byte, 100)
	count, from, err := conn.ReadFrom(buffer)
	fmt.Println(string(buffer[:count]), from.String() == conn.LocalAddr().String(), err)
	_, err = net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	check("refused", errors.Is(err, syscall.ECONNREFUSED))
	names, err := net.LookupHost("localhost")
	check("localhost", err == nil && len(names) > 0)
	_, err = net.InterfaceByName("lo")
	check("lo", err == nil)
}

// Says how starting a second program ends.
func processes() {
	_, err := exec.Command("/usr/bin/true").Output()
	fmt.Println("a second process:", err)
}

func main() {
	fmt.Println(runtime.GOOS, runtime.GOARCH, runtime.Version())
	preemption()
	goroutines()
	threads()
	timers()
	signals()
	memory()
	faults()
	fmt.Println("deep", deep(100000))
	files()
	sockets()
	processes()
}
