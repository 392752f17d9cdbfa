// Command generate creates the Go code of the protocol from its descriptors.
//
// Run it in the folder of the module, after a change of the protocol:
//
//	go run ./internal/generate
//
// It needs the network once, for the pinned plugins. The tests of the module detect code that is out of date.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	descriptors = "../../adapters/grpc/protocol/proto/factum.store.v1.bin"
	folder      = "internal/storev1"
	goPackage   = "factum.example/store/internal/storev1"
)

// plugins are the generators of messages and of clients.
var plugins = []string{
	"google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
	"google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}

// contract lists the files of the protocol.
var contract = []string{"factum/store/v1/groups.proto", "factum/store/v1/store.proto"}

func main() {
	log.SetFlags(0)
	for _, plugin := range plugins {
		files, err := generate(plugin)
		if err != nil {
			log.Fatalf("%s failed: %v", plugin, err)
		}
		for _, file := range files {
			path := filepath.Join(folder, filepath.Base(file.GetName()))
			if err := os.WriteFile(path, []byte(file.GetContent()), 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// generate runs a plugin of the compiler protoc, and returns its files.
func generate(plugin string) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	encoded, err := os.ReadFile(descriptors)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(encoded, &set); err != nil {
		return nil, err
	}
	parameter := "paths=source_relative"
	for _, name := range contract {
		parameter += fmt.Sprintf(",M%s=%s", name, goPackage)
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: contract,
		Parameter:      &parameter,
		ProtoFile:      set.GetFile(),
	})
	if err != nil {
		return nil, err
	}
	command := exec.Command("go", "run", plugin)
	command.Stdin = bytes.NewReader(request)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s", response.GetError())
	}
	return response.GetFile(), nil
}
