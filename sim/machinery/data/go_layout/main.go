// Prints how Go lays out a pod template: every struct's fields in their declared order, for the hashes in names.
package main

import (
	"encoding/json"
	"os"
	"reflect"

	corev1 "k8s.io/api/core/v1"
)

type field struct {
	Name     string `json:"n"`
	JSON     string `json:"j"`
	Type     string `json:"t"`
	Embedded bool   `json:"e,omitempty"`
}

type shape struct {
	Kind   string  `json:"k"`
	Elem   string  `json:"el,omitempty"`
	Key    string  `json:"key,omitempty"`
	Fields []field `json:"f,omitempty"`
}

var shapes = map[string]*shape{}

func walk(t reflect.Type) {
	if shapes[t.String()] != nil {
		return
	}
	s := &shape{Kind: t.Kind().String()}
	shapes[t.String()] = s
	switch t.Kind() {
	case reflect.Ptr, reflect.Slice, reflect.Array, reflect.Map:
		s.Elem = t.Elem().String()
		walk(t.Elem())
		if t.Kind() == reflect.Map {
			s.Key = t.Key().String()
			walk(t.Key())
		}
	case reflect.Struct:
		for i := 0; i < t.NumField(); i++ {
			f := t.Field(i)
			s.Fields = append(s.Fields, field{f.Name, f.Tag.Get("json"), f.Type.String(), f.Anonymous})
			walk(f.Type)
		}
	}
}

func main() {
	walk(reflect.TypeOf(corev1.PodTemplateSpec{}))
	json.NewEncoder(os.Stdout).Encode(shapes)
}
