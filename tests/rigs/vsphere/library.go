// Copyright (c) 2026, the Kiln authors
// BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)

// Content library update sessions as a real vCenter has them (vSphere Automation API, content
// library item UpdateSession and File): a file is held to the size and the checksum that were said
// of it, nothing of a session is seen before it is complete, completing makes one new version, and
// one item has one session at a time. The simulator stores each file as it comes.
//
// Libraries, items and logging in are the simulator's; sessions and files are all here.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

const (
	content  = "/rest/com/vmware/content/library/item/"
	sessions = content + "update-session"
	files    = content + "updatesession/file"
	data     = "/rest/com/vmware/cis/data/"
	login    = "/rest/com/vmware/cis/session"
	token    = "vmware-api-session-id"
)

type item struct {
	Version int              `json:"version"`
	Files   map[string]*disk `json:"files"`
}

type update struct {
	id, item, state string
	wanted          map[string]*fileSpec
	removed         []string
}

type fileSpec struct {
	Name     string `json:"name"`
	Source   string `json:"source_type"`
	Size     int    `json:"size"`
	Checksum struct {
		Algorithm string `json:"algorithm"`
		Checksum  string `json:"checksum"`
	} `json:"checksum_info"`
	came *disk
}

type place struct {
	update *update
	file   *fileSpec
}

func (d *door) rest(w http.ResponseWriter, r *http.Request) {
	path, action := r.URL.Path, r.URL.Query().Get("~action")
	f := d.due(strings.TrimSpace(r.Method + " " + operation(path) + " " + action))
	if f != nil && strings.HasPrefix(path, data) {
		_, _ = io.CopyN(io.Discard, r.Body, f.Bytes)
	}
	if !d.meet(f, w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	ours := strings.HasPrefix(path, sessions) || strings.HasPrefix(path, files) ||
		strings.HasPrefix(path, data) || path == content+"file"
	if !ours {
		d.passRest(w, r, body)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.tokens[r.Header.Get(token)] {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if f != nil {
		d.library(httptest.NewRecorder(), r, action, body)
		hangUp(w)
		return
	}
	d.library(w, r, action, body)
}

// operation is a path without what differs from call to call.
func operation(path string) string {
	if strings.HasPrefix(path, data) {
		return "data"
	}
	short := strings.TrimPrefix(strings.TrimPrefix(path, "/rest/com/vmware/"), "content/")
	return strings.Split(short, "/id:")[0]
}

func (d *door) passRest(w http.ResponseWriter, r *http.Request, body []byte) {
	answer := d.pass(r, body)
	if r.URL.Path == login && answer.Code == http.StatusOK {
		d.mu.Lock()
		var told struct{ Value string }
		if r.Method == http.MethodPost && json.Unmarshal(answer.Body.Bytes(), &told) == nil {
			d.tokens[told.Value] = true
		} else if r.Method == http.MethodDelete {
			delete(d.tokens, r.Header.Get(token))
		}
		d.mu.Unlock()
	}
	give(w, answer)
}

func (d *door) library(w http.ResponseWriter, r *http.Request, action string, body []byte) {
	id := r.URL.Path[strings.LastIndex(r.URL.Path, "id:")+len("id:"):]
	switch path := r.URL.Path; {
	case path == content+"file":
		value(w, d.listFiles(r.URL.Query().Get("library_item_id")))
	case path == sessions && r.Method == http.MethodGet:
		value(w, d.sessionsOf(r.URL.Query().Get("library_item_id")))
	case path == sessions:
		d.begin(w, body)
	case strings.HasPrefix(path, data):
		d.take(w, strings.Split(strings.TrimPrefix(path, data), "/")[0], body)
	case d.updates[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	case strings.HasPrefix(path, files):
		d.fileOf(w, d.updates[id], action, body)
	default:
		d.session(w, r, d.updates[id], action)
	}
}

func (d *door) begin(w http.ResponseWriter, body []byte) {
	var spec struct {
		Spec struct {
			Item string `json:"library_item_id"`
		} `json:"create_spec"`
	}
	if json.Unmarshal(body, &spec) != nil || spec.Spec.Item == "" {
		bad(w, "invalid_argument")
		return
	}
	if len(d.sessionsOf(spec.Spec.Item)) != 0 {
		bad(w, "resource_busy")
		return
	}
	u := &update{
		id: fmt.Sprintf("update-%d", len(d.updates)+1), item: spec.Spec.Item, state: "ACTIVE",
		wanted: map[string]*fileSpec{},
	}
	d.updates[u.id] = u
	value(w, u.id)
}

func (d *door) sessionsOf(item string) []string {
	found := []string{}
	for id, u := range d.updates {
		if u.state == "ACTIVE" && (item == "" || u.item == item) {
			found = append(found, id)
		}
	}
	return found
}

func (d *door) session(w http.ResponseWriter, r *http.Request, u *update, action string) {
	switch {
	case r.Method == http.MethodGet:
		value(w, map[string]string{"id": u.id, "library_item_id": u.item, "state": u.state})
	case r.Method == http.MethodDelete:
		delete(d.updates, u.id)
		value(w, nil)
	case u.state != "ACTIVE":
		bad(w, "not_allowed_in_current_state")
	case action == "complete":
		d.complete(w, u)
	case action == "cancel" || action == "fail":
		u.state = strings.ToUpper(action)
		value(w, nil)
	default:
		value(w, nil)
	}
}

// complete makes all files of a session the item's, or none.
func (d *door) complete(w http.ResponseWriter, u *update) {
	for _, spec := range u.wanted {
		if spec.came == nil {
			bad(w, "not_allowed_in_current_state")
			return
		}
	}
	if d.Items[u.item] == nil {
		d.Items[u.item] = &item{Files: map[string]*disk{}}
	}
	it := d.Items[u.item]
	for _, name := range u.removed {
		delete(it.Files, name)
	}
	for name, spec := range u.wanted {
		it.Files[name] = spec.came
	}
	it.Version++
	u.state = "DONE"
	value(w, nil)
}

func (d *door) fileOf(w http.ResponseWriter, u *update, action string, body []byte) {
	var asked struct {
		Spec *fileSpec `json:"file_spec"`
		Name string    `json:"file_name"`
	}
	if err := json.Unmarshal(body, &asked); len(body) > 0 && err != nil {
		bad(w, "invalid_argument")
		return
	}
	switch {
	case u.state != "ACTIVE":
		bad(w, "not_allowed_in_current_state")
	case action == "add" && asked.Spec != nil && asked.Spec.Source == "PUSH":
		u.wanted[asked.Spec.Name] = asked.Spec
		key := fmt.Sprintf("%s-%d", u.id, len(d.places))
		d.places[key] = &place{u, asked.Spec}
		address := "https://" + d.host + data + key + "/" + asked.Spec.Name
		value(w, map[string]any{
			"name": asked.Spec.Name, "source_type": "PUSH", "status": "WAITING_FOR_TRANSFER",
			"upload_endpoint": map[string]string{"uri": address},
		})
	case action == "remove" && d.Items[u.item] != nil && d.Items[u.item].Files[asked.Name] != nil:
		u.removed = append(u.removed, asked.Name)
		value(w, nil)
	case action == "remove":
		w.WriteHeader(http.StatusNotFound)
	case action == "validate":
		value(w, map[string]any{"has_errors": false, "missing_files": u.missing(), "invalid_files": []string{}})
	default:
		bad(w, "invalid_argument")
	}
}

func (u *update) missing() []string {
	found := []string{}
	for name, spec := range u.wanted {
		if spec.came == nil {
			found = append(found, name)
		}
	}
	return found
}

// take gets the bytes of one file.
func (d *door) take(w http.ResponseWriter, key string, body []byte) {
	p := d.places[key]
	if p == nil || p.update.state != "ACTIVE" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	came := &disk{len(body), digest(body)}
	if p.file.Size != came.Bytes || p.file.Checksum.Algorithm != "SHA256" ||
		p.file.Checksum.Checksum != came.Sha256 {
		bad(w, "invalid_argument")
		return
	}
	p.file.came = came
}

func (d *door) listFiles(id string) []map[string]any {
	found := []map[string]any{}
	if it := d.Items[id]; it != nil {
		for name, f := range it.Files {
			found = append(found, map[string]any{
				"name": name, "size": f.Bytes, "version": fmt.Sprint(it.Version), "cached": true,
				"checksum_info": map[string]string{"algorithm": "SHA256", "checksum": f.Sha256},
			})
		}
	}
	return found
}

func value(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"value": v})
}

func bad(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "com.vmware.vapi.std.errors." + kind, "value": map[string]any{"messages": []any{}},
	})
}
