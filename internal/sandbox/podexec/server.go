// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package podexec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	// idleTimeout is how long nothing may flow on a connection; a kubelet's is four hours.
	idleTimeout       = 4 * time.Hour
	readHeaderTimeout = 10 * time.Second
)

// Container names a container of a pod.
type Container struct{ Namespace, Pod, Name string }

// Place is where a container's commands run, and the environment that they see.
type Place struct {
	Dir string
	Env []string
}

// Options are what a Server needs.
type Options struct {
	// Certificate must exist.
	Certificate Certificate
	// Find says where a container's commands run, or why none can.
	Find func(context.Context, Container) (Place, error)
	// Group is the process group of every command.
	Group int
}

// Server is what the API server takes for the kubelet of every node.
type Server struct {
	find     func(context.Context, Container) (Place, error)
	group    int
	listener net.Listener
	server   *http.Server
}

// Listen opens a port of the loopback interface. Serve then answers.
func Listen(o Options) (*Server, error) {
	config, err := tlsConfig(o.Certificate)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for exec requests: %w", err)
	}
	s := &Server{find: o.Find, group: o.Group, listener: tls.NewListener(listener, config)}
	mux := http.NewServeMux()
	// The API server asks with POST; a kubelet answers GET too, which a WebSocket begins with.
	mux.HandleFunc("POST /exec/{namespace}/{pod}/{container}", s.exec)
	mux.HandleFunc("GET /exec/{namespace}/{pod}/{container}", s.exec)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	return s, nil
}

// tlsConfig serves with the certificate, and only who has the same. It offers no HTTP/2, which cannot be upgraded.
func tlsConfig(c Certificate) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the kubelets: %w", err)
	}
	trusted, err := os.ReadFile(c.CertFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the kubelets: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(trusted) {
		return nil, fmt.Errorf("reading the certificate of the kubelets: %s has none", c.CertFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"http/1.1"},
	}, nil
}

// Port is the port that is served.
func (s *Server) Port() int {
	address, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return address.Port
}

// Serve answers requests until Close.
func (s *Server) Serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving exec requests: %w", err)
	}
	return nil
}

// Close ends Serve. Commands that run go on: end their process group.
func (s *Server) Close() { _ = s.server.Close() }

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	words := r.URL.Query()["command"]
	switch {
	case len(words) == 0:
		http.Error(w, "there is no command", http.StatusBadRequest)
		return
	case options.TTY:
		http.Error(w, "a simulated container has no terminal: leave --tty out", http.StatusBadRequest)
		return
	}
	container := Container{Namespace: r.PathValue("namespace"), Pod: r.PathValue("pod"), Name: r.PathValue("container")}
	place, err := s.find(r.Context(), container)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	remotecommand.ServeExec(w, r, &command{place: place, group: s.group}, container.Pod, "", container.Name, words, options,
		idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}
