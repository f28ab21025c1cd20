package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func configCommand() *cobra.Command {
	s := &settings{}
	f := s.flags()
	c := &cobra.Command{Use: "config", Short: "Print the settings in effect, as YAML or as a systemd unit", Args: cobra.NoArgs}
	c.Flags().AddFlagSet(f)
	asUnit := c.Flags().Bool("systemd", false, "print a systemd unit that serves with these settings")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := complete(f, os.Environ()); err != nil {
			return err
		}
		if *asUnit {
			return s.writeUnit(c.OutOrStdout(), f)
		}
		writeYAML(c.OutOrStdout(), f)
		return nil
	}
	return c
}

// writeYAML writes the settings of f as a configuration file, without the secret in the DSN.
func writeYAML(w io.Writer, f *pflag.FlagSet) {
	f.VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		value := f.Value.String()
		if f.Name == "dsn" && value != "" {
			value = hidden
		}
		fmt.Fprintf(w, "# %s\n%s: %s\n", f.Usage, f.Name, quoteYAML(f, value))
	})
}

func quoteYAML(f *pflag.Flag, value string) string {
	switch list, ok := f.Value.(pflag.SliceValue); {
	case ok:
		var quoted []string
		for _, v := range list.GetSlice() {
			quoted = append(quoted, fmt.Sprintf("%q", v))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case f.Value.Type() == "string":
		return fmt.Sprintf("%q", value)
	}
	return value
}
