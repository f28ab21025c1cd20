package main

import (
	_ "embed" // the text of the unit
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"text/template"
	"unicode"

	"github.com/spf13/pflag"
)

//go:embed unit.service.tmpl
var unitText string

// Where a unit has things unless the settings say otherwise.
const (
	unitProgram = "/usr/local/bin/openconsult"
	unitState   = "/var/lib"
	unitData    = unitState + "/openconsult"
)

// A unit is what differs between units.
type unit struct {
	Program     string
	Arguments   []string // quoted, after serve
	Credentials []string // files that systemd reads and hands over, as NAME:PATH
	SecretDSN   bool     // the DSN comes by a file for the environment
	Private     bool     // it has a PostgreSQL of its own
	State       string   // its data directory, below /var/lib; empty for Directory
	Directory   string   // its data directory elsewhere; empty for State
	LowPort     bool     // it listens on a port below 1024
}

// writeUnit writes a systemd unit that serves with the settings in effect, which are
// those of f. It refuses settings with which the server would not start, or that the
// unit would hide from it.
func (s *settings) writeUnit(w io.Writer, f *pflag.FlagSet) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := checkAuth(s); err != nil {
		return err
	}
	u := &unit{Program: unitProgram, Private: s.DSN == "", LowPort: isLowPort(s.Addr) || isLowPort(s.AdminAddr)}
	if err := u.setDirectory(s, f); err != nil {
		return err
	}
	file, err := fromFile(s.Config)
	if err != nil {
		return err
	}
	var problem error
	f.VisitAll(func(flag *pflag.Flag) {
		if err := u.add(flag, file.Lookup(flag.Name)); err != nil && problem == nil {
			problem = err
		}
	})
	if problem != nil {
		return problem
	}
	t, err := template.New("unit").Parse(unitText)
	if err != nil {
		return fmt.Errorf("read the text of the unit: %w", err)
	}
	return t.Execute(w, u)
}

// fromFile returns the settings as the configuration file alone makes them.
func fromFile(path string) (*pflag.FlagSet, error) {
	f := (&settings{}).flags()
	if path == "" {
		return f, nil
	}
	if err := f.Set("config", path); err != nil {
		return nil, err
	}
	return f, complete(f, nil)
}

// setDirectory decides where the data of a private database are. A directory that nobody has
// chosen is no place for a service.
func (u *unit) setDirectory(s *settings, f *pflag.FlagSet) error {
	if !u.Private {
		return nil
	}
	dir := unitData
	if s.DataDir != f.Lookup("data-dir").DefValue {
		var err error
		if dir, err = visible("data-dir", s.DataDir); err != nil {
			return err
		}
	}
	u.Arguments = append(u.Arguments, quoteArgument("--data-dir="+dir))
	state, found := strings.CutPrefix(dir, unitState+"/")
	if !found || strings.Contains(state, ":") { // which means something there
		u.Directory = quoteUnit(dir)
	} else {
		u.State = quoteUnit(state)
	}
	return nil
}

// add has the server run with the value of a flag. Was is the same flag as the
// configuration file alone sets it.
func (u *unit) add(flag, was *pflag.Flag) error {
	value := argument(flag)
	switch flag.Name {
	case "data-dir", "help", "systemd":
		return nil
	case "dsn":
		u.SecretDSN = value != argument(was)
		return nil
	case "config", "tls-cert", "tls-key", "terminology-token-file", "smtp-password-file":
		return u.addSecret(flag.Name, "", value)
	case "channel-secret-file":
		return u.addList(flag, func(entry string) error {
			channel, path, _ := strings.Cut(entry, "=")
			return u.addSecret(flag.Name, channel, path)
		})
	case "issuers", "providers":
		return u.addPath(flag.Name, value)
	case "package":
		return u.addList(flag, func(path string) error { return u.addPath(flag.Name, path) })
	}
	if value != argument(was) {
		u.Arguments = append(u.Arguments, quoteArgument("--"+flag.Name+"="+value))
	}
	return nil
}

// argument returns what stands behind the = of a flag.
func argument(f *pflag.Flag) string {
	value := f.Value.String()
	if f.Value.Type() == listType {
		return strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	}
	return value
}

func (u *unit) addList(flag *pflag.Flag, add func(string) error) error {
	list, ok := flag.Value.(pflag.SliceValue)
	if !ok {
		return fmt.Errorf("the setting %s is no list", flag.Name)
	}
	for _, entry := range list.GetSlice() {
		if err := add(entry); err != nil {
			return err
		}
	}
	return nil
}

// addSecret has systemd read a file, which the user of the service then need not be able to.
// Of is what the file is for where the setting is a list.
func (u *unit) addSecret(name, of, path string) error {
	if path == "" {
		return nil
	}
	path, err := absolute(name, path)
	if err != nil {
		return err
	}
	credential, before := name, ""
	if of != "" {
		credential, before = name+"-"+of, of+"="
	}
	u.Credentials = append(u.Credentials, credential+":"+strings.ReplaceAll(path, "%", "%%"))
	u.Arguments = append(u.Arguments, "--"+name+"="+before+"%d/"+credential)
	return nil
}

// addPath names a file that the service reads where it is.
func (u *unit) addPath(name, path string) error {
	if path == "" {
		return nil
	}
	path, err := visible(name, path)
	if err != nil {
		return err
	}
	u.Arguments = append(u.Arguments, quoteArgument("--"+name+"="+path))
	return nil
}

// visible returns the absolute path of a setting. Homes and temporary files are hidden from
// the service.
func visible(name, path string) (string, error) {
	abs, err := absolute(name, path)
	if err != nil {
		return "", err
	}
	for _, hidden := range []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"} {
		if abs == hidden || strings.HasPrefix(abs, hidden+"/") {
			return "", fmt.Errorf("--%s is %s, and the service does not see %s: choose a place such as /etc/openconsult or %s", name, abs, hidden, unitData)
		}
	}
	return abs, nil
}

// absolute returns the absolute path of a setting. One of several lines would be several lines
// of the unit.
func absolute(name, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find --%s: %w", name, err)
	}
	if strings.ContainsFunc(abs, unicode.IsControl) {
		return "", fmt.Errorf("--%s has a control character in it: choose another name", name)
	}
	return abs, nil
}

// isLowPort reports whether only a privileged process may listen on an address.
func isLowPort(addr string) bool {
	_, name, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	port, err := net.LookupPort("tcp", name)
	return err == nil && port > 0 && port < 1024
}

// quoteArgument makes one word of a command line in a unit, where $ begins a variable. See
// systemd.service(5), command lines.
func quoteArgument(word string) string { return quoteUnit(strings.ReplaceAll(word, "$", "$$")) }

// quoteUnit makes one word of a list in a unit. See systemd.syntax(7), quoting, and
// systemd.unit(5), specifiers.
func quoteUnit(word string) string {
	word = strings.ReplaceAll(word, "%", "%%")
	if word != "" && !strings.ContainsFunc(word, special) {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(word) + `"`
}

// special reports whether r may mean something in a unit.
func special(r rune) bool {
	return r <= ' ' || strings.ContainsRune("\"'\\;|<>&#*?`()!", r) || unicode.IsSpace(r)
}
