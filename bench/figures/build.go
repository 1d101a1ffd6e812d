package figures

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds the command that is measured into a directory, and returns its path. It must run in the repository's
// root.
func Build(ctx context.Context, directory string) (binary string, err error) {
	binary = filepath.Join(directory, "verify")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/verify").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building verify (run this from the repository's root): %w: %s", err, out)
	}
	return binary, nil
}
