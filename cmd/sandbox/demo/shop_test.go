// Copyright The Roost Authors.
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// storyIn keeps what the volumes of claims hold in directories of that name. There are those of the shop, and no others.
func storyIn(t *testing.T) (*story, string) {
	t.Helper()
	root := t.TempDir()
	for _, claim := range shopClaims() {
		if err := os.Mkdir(filepath.Join(root, claim), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return &story{volumeDir: func(_ context.Context, _, claim string) (string, error) {
		dir := filepath.Join(root, claim)
		if _, err := os.Stat(dir); err != nil {
			return "", errors.New("claim is not bound")
		}
		return dir, nil
	}}, root
}

func TestHold(t *testing.T) {
	for name, tc := range map[string]struct {
		written map[string]string
		want    string
		holds   bool
	}{
		"the text in all":             {written: map[string]string{"data-db-0": "100\n", "data-db-1": "100"}, want: "100", holds: true},
		"another text in one":         {written: map[string]string{"data-db-0": "100", "data-db-1": "99"}, want: "100"},
		"no file in one":              {written: map[string]string{"data-db-0": "100"}, want: "100"},
		"no file where none is meant": {holds: true},
		"a file where none is meant":  {written: map[string]string{"data-db-1": "100"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, root := storyIn(t)
			for claim, text := range tc.written {
				if err := os.WriteFile(filepath.Join(root, claim, "file"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.hold(t.Context(), shopClaims(), "file", tc.want)
			if err != nil || got != tc.holds {
				t.Errorf("hold() = %t, %v, want %t", got, err, tc.holds)
			}
		})
	}
}

func TestHoldOfAClaimThatIsNotThere(t *testing.T) {
	s, _ := storyIn(t)
	if got, err := s.hold(t.Context(), []string{"data-db-7"}, "file", ""); err == nil || got {
		t.Errorf("hold() = %t, %v, want an error", got, err)
	}
}

func TestWriteOrdersReplacesWhatWasThere(t *testing.T) {
	s, _ := storyIn(t)
	for _, text := range []string{orders, noOrders} {
		if err := s.writeOrders(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]bool{orders: false, noOrders: true} {
		if got, err := s.hold(t.Context(), shopClaims(), ordersFile, text); err != nil || got != want {
			t.Errorf("volumes hold %q: %t, %v, want %t", text, got, err, want)
		}
	}
}
