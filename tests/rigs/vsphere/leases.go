// Copyright (c) 2026, the Kiln authors
// BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)

// Leases as a real vCenter has them (vSphere Web Services API, HttpNfcLease): a disk comes as a
// stream-optimized VMDK, whole, with its length and type said; a lease with disks that did not come
// cannot be completed; and while it is open, its machine is no template and cannot be removed.
//
// What the simulator does on an abort stays: it leaves the machine behind.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
)

const diskType = "application/x-vnd.vmware-streamVmdk"

var (
	leaseOf  = regexp.MustCompile(`type="HttpNfcLease"[^>]*>([^<]+)<`)
	percent  = regexp.MustCompile(`<percent[^>]*>(\d+)<`)
	thisOf   = regexp.MustCompile(`<_this[^>]*>([^<]+)<`)
	machines = regexp.MustCompile(`<entity[^>]*type="VirtualMachine"[^>]*>([^<]+)<`)
)

type disk struct {
	Bytes  int    `json:"bytes"`
	Sha256 string `json:"sha256"`
}

type lease struct {
	State    string           `json:"state"`
	Wanted   int              `json:"wanted"`
	Disks    map[string]*disk `json:"disks"`
	Percents []int            `json:"percents"`
	Machine  string           `json:"machine"`
}

// refusesCall says what is wrong with a call, if anything.
func (d *door) refusesCall(name string, body []byte) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch name {
	case "HttpNfcLeaseComplete":
		if l := d.leaseIn(body); l != nil && (l.State != "open" || len(l.Disks) != l.Wanted) {
			return "The lease is not open, or a disk has not come."
		}
	case "MarkAsTemplate", "Destroy_Task":
		this := thisOf.FindSubmatch(body)
		for _, l := range d.Leases {
			if this != nil && l.State == "open" && l.Machine == string(this[1]) {
				return "The machine is being imported."
			}
		}
	}
	return ""
}

// noteCall keeps what a call has done to leases.
func (d *door) noteCall(name string, body []byte, answer *httptest.ResponseRecorder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := answer.Body.Bytes()
	if answer.Code != http.StatusOK {
		return
	}
	switch name {
	case "ImportVApp":
		if found := leaseOf.FindSubmatch(told); found != nil {
			wanted := bytes.Count(body, []byte(`type="VirtualDisk"`))
			d.Leases[string(found[1])] = &lease{
				State: "open", Wanted: wanted, Disks: map[string]*disk{}, Percents: []int{},
			}
		}
	case "HttpNfcLeaseComplete":
		d.end(body, "completed")
	case "HttpNfcLeaseAbort":
		d.end(body, "aborted")
	case "HttpNfcLeaseProgress":
		if found := percent.FindSubmatch(body); found != nil {
			if l := d.leaseIn(body); l != nil {
				number, _ := strconv.Atoi(string(found[1]))
				l.Percents = append(l.Percents, number)
			}
		}
	case "Fetch", "RetrievePropertiesEx", "WaitForUpdatesEx":
		d.noteMachine(told)
	}
}

// noteMachine finds which machine a lease is for, from the lease's info.
func (d *door) noteMachine(told []byte) {
	id, machine := leaseOf.FindSubmatch(told), machines.FindSubmatch(told)
	if id != nil && machine != nil && d.Leases[string(id[1])] != nil {
		d.Leases[string(id[1])].Machine = string(machine[1])
	}
}

func (d *door) leaseIn(body []byte) *lease {
	if found := leaseOf.FindSubmatch(body); found != nil {
		return d.Leases[string(found[1])]
	}
	return nil
}

func (d *door) expire() {
	for _, l := range d.Leases {
		if l.State == "open" {
			l.State = "expired"
		}
	}
}

func (d *door) end(body []byte, state string) {
	if l := d.leaseIn(body); l != nil {
		l.State = state
	}
}

// upload takes one disk of a lease.
func (d *door) upload(w http.ResponseWriter, r *http.Request) {
	f := d.due("upload")
	if f != nil {
		_, _ = io.CopyN(io.Discard, r.Body, f.Bytes)
		if !d.meet(f, w, r) {
			return
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if why := badUpload(r, body); why != "" {
		http.Error(w, why, http.StatusBadRequest)
		return
	}
	answer := d.pass(r, body)
	if answer.Code == http.StatusOK {
		d.noteDisk(r.URL.Path, body)
	}
	give(w, answer)
}

// badUpload says why a disk would not be taken. The magic and the flags of compressed grains with
// markers are those of VMware's Virtual Disk Format 5.0, "Hosted Sparse Extent Header".
func badUpload(r *http.Request, body []byte) string {
	switch {
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		return "a disk comes by POST or PUT"
	case r.Header.Get("Content-Type") != diskType:
		return "the type is not " + diskType
	case r.ContentLength != int64(len(body)):
		return "the length was not said, or is another"
	case len(body) < 512 || string(body[:4]) != "KDMV" || body[10]&3 != 3:
		return "this is not a stream-optimized VMDK"
	}
	return ""
}

func (d *door) noteDisk(path string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parts := strings.Split(path, "/")
	if l := d.Leases[parts[len(parts)-2]]; l != nil {
		l.Disks[parts[len(parts)-1]] = &disk{len(body), digest(body)}
	}
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
