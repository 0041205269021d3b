// Copyright (c) 2026, the Kiln authors
// BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)

// A vCenter for tests: govmomi's simulator with a stricter door in front, in one process.
//
// It prints its address, and ends with its standard input. The door (door.go) sees every request
// first; leases.go and library.go refuse what a real vCenter refuses and the simulator takes.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

const (
	user     = "kiln@vsphere.local"
	password = "rig-secret"
)

func main() {
	model := simulator.VPX()
	model.Machine = 0
	model.Datastore = 2
	model.Pool = 1
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	model.Service.RegisterEndpoints = true
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(user, password)}
	server := model.Service.NewServer()
	server.Config.Handler = newDoor(server.Config.Handler, server.URL.Host)
	fmt.Println(server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
