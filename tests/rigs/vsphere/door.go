// Copyright (c) 2026, the Kiln authors
// BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)

// The door: counts requests, makes faults happen, and tells the tests what it saw, at /rig.
//
// One lock guards all of its state. It is not held while a request is passed on.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
)

var soapMethod = regexp.MustCompile(`<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)`)

// What a test asks for: the request of this name, after some that pass, a few times.
// Kinds: "exit" ends the process, "drop" closes the connection, "lose" carries the request out and
// then closes the connection, "refuse" answers with an error, "hold" says nothing for as long as the
// client stays. For uploads, `Bytes` come in first.
type fault struct {
	Operation string `json:"operation"`
	Kind      string `json:"kind"`
	After     int    `json:"after"`
	Times     int    `json:"times"`
	Bytes     int64  `json:"bytes"`
}

type door struct {
	next   http.Handler
	host   string
	mu     sync.Mutex
	faults []*fault
	Counts map[string]int    `json:"counts"`
	Leases map[string]*lease `json:"leases"`
	Items  map[string]*item  `json:"items"`
	// The update sessions and their upload places, and who has logged in at the REST interface.
	updates map[string]*update
	places  map[string]*place
	tokens  map[string]bool
}

func newDoor(next http.Handler, host string) *door {
	return &door{
		next: next, host: host,
		Counts: map[string]int{}, Leases: map[string]*lease{}, Items: map[string]*item{},
		updates: map[string]*update{}, places: map[string]*place{}, tokens: map[string]bool{},
	}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/rig":
		d.rig(w, r)
	case strings.HasPrefix(path, "/nfc/"):
		d.upload(w, r)
	case path == "/sdk":
		d.soap(w, r)
	case strings.HasPrefix(path, "/rest/"):
		d.rest(w, r)
	default:
		d.next.ServeHTTP(w, r)
	}
}

// The tests' own entry: a list of faults comes in, all that is known goes out. With `expire`, the
// leases that nobody has ended reach their timeout.
func (d *door) rig(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodPost {
		var wanted struct {
			Faults []*fault `json:"faults"`
			Expire bool     `json:"expire"`
		}
		if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		d.faults = wanted.Faults
		if wanted.Expire {
			d.expire()
		}
	}
	_ = json.NewEncoder(w).Encode(d)
}

// due counts a request and says which fault it shall meet, if any.
func (d *door) due(operation string) *fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Counts[operation]++
	for _, f := range d.faults {
		if f.Operation != operation || f.Times == 0 {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		f.Times--
		return f
	}
	return nil
}

// meet lets a fault happen before the request is looked at; it says whether there is more to do.
func (d *door) meet(f *fault, w http.ResponseWriter, r *http.Request) bool {
	if f == nil || f.Kind == "lose" {
		return true
	}
	switch f.Kind {
	case "exit":
		os.Exit(0)
	case "drop":
		hangUp(w)
	case "hold":
		<-r.Context().Done()
	case "refuse":
		http.Error(w, "the test wanted this", http.StatusInternalServerError)
	}
	return false
}

func hangUp(w http.ResponseWriter) {
	if connection, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = connection.Close()
	}
}

// pass hands a request on and keeps the answer back.
func (d *door) pass(r *http.Request, body []byte) *httptest.ResponseRecorder {
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	d.next.ServeHTTP(answer, r)
	return answer
}

func give(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// soap passes a call on, with the rules of leases.go around it.
func (d *door) soap(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name := "unknown"
	if found := soapMethod.FindSubmatch(body); found != nil {
		name = string(found[1])
	}
	f := d.due(name)
	if !d.meet(f, w, r) {
		return
	}
	if refusal := d.refusesCall(name, body); refusal != "" {
		refuseCall(w, refusal)
		return
	}
	answer := d.pass(r, body)
	d.noteCall(name, body, answer)
	if f != nil {
		hangUp(w)
		return
	}
	give(w, answer)
}

// refuseCall answers as vSphere does when an object is not in a state for the call.
func refuseCall(w http.ResponseWriter, why string) {
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<?xml version="1.0"?><soapenv:Envelope `+
		`xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" `+
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>`+
		`<faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>`+
		`<InvalidStateFault xmlns="urn:vim25" xsi:type="InvalidState"/></detail></soapenv:Fault>`+
		`</soapenv:Body></soapenv:Envelope>`, why)
}
