package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/openconsult/openconsult/fhir"
)

const (
	hashesAtOnce    = 2 // each takes Cost.MiB and a core; the others wait
	saltLength      = 16
	hashLength      = 32
	shortestPass    = 10  // characters
	longestPassword = 512 // bytes
)

// A Cost is what the argon2id hash of a password costs.
// https://www.rfc-editor.org/rfc/rfc9106
type Cost struct {
	MiB    uint32 // memory
	Passes uint32
	Lanes  uint8
}

// A hasher makes and checks hashes of passwords, a few at a time.
type hasher struct {
	cost  Cost
	turns chan struct{}
	dummy string // hash of a password that nobody has
}

func newHasher(c Cost) (*hasher, error) {
	if c.MiB == 0 || c.MiB > 1024 || c.Passes == 0 || c.Passes > 64 || c.Lanes == 0 {
		return nil, errors.New("configure sign-in: the cost of a hash needs 1 to 1024 MiB, 1 to 64 passes and a lane")
	}
	h := &hasher{cost: c, turns: make(chan struct{}, hashesAtOnce)}
	h.dummy = h.phc(rand.Text())
	return h, nil
}

// turn waits until there is room for another hash.
func (h *hasher) turn(ctx context.Context) (end func(), err error) {
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a turn to hash a password: %w", context.Cause(ctx))
	}
}

// hash returns the hash of a password in PHC form.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	end, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	return h.phc(password), nil
}

func (h *hasher) phc(password string) string {
	salt := make([]byte, saltLength)
	rand.Read(salt) // never fails: crypto/rand crashes the program instead
	c := h.cost
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MiB*1024, c.Passes, c.Lanes, b64(salt), b64(key(password, salt, c, hashLength)))
}

func key(password string, salt []byte, c Cost, length uint32) []byte {
	return argon2.IDKey([]byte(norm.NFC.String(password)), salt, c.Passes, c.MiB*1024, c.Lanes, length)
}

// matches reports whether a password has a hash, which may be empty, and
// whether the hash was made at another cost than new ones are. A hash that is empty
// takes the time of another one.
func (h *hasher) matches(ctx context.Context, hash, password string) (ok, outdated bool, err error) {
	end, err := h.turn(ctx)
	if err != nil {
		return false, false, err
	}
	defer end()
	none := hash == ""
	if none {
		hash = h.dummy
	}
	if len(password) > longestPassword {
		none, password = true, ""
	}
	cost, salt, want, err := parsePHC(hash)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(key(password, salt, cost, uint32(len(want))), want) == 1
	return same && !none, cost != h.cost, nil
}

// parsePHC reads a hash such as $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
// https://github.com/P-H-C/phc-string-format
func parsePHC(s string) (c Cost, salt, hash []byte, err error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errors.New("read the hash of a password: it is no argon2id hash in PHC form")
	}
	var memory uint32
	if n, err := fmt.Sscanf(part[3]+"\n", "m=%d,t=%d,p=%d\n", &memory, &c.Passes, &c.Lanes); err != nil || n != 3 {
		return c, nil, nil, errors.New("read the hash of a password: its parameters are not m, t and p")
	}
	c.MiB = memory / 1024
	if memory%1024 != 0 || c.MiB == 0 || c.MiB > 1024 || c.Passes == 0 || c.Passes > 64 || c.Lanes == 0 {
		return c, nil, nil, errors.New("read the hash of a password: its parameters are out of bounds")
	}
	strict := base64.RawStdEncoding.Strict()
	if salt, err = strict.DecodeString(part[4]); err != nil || len(salt) < 8 {
		return c, nil, nil, errors.New("read the hash of a password: its salt is not 8 bytes in base64")
	}
	if hash, err = strict.DecodeString(part[5]); err != nil || len(hash) < 16 || len(hash) > 64 {
		return c, nil, nil, errors.New("read the hash of a password: it is not 16 to 64 bytes in base64")
	}
	return c, salt, hash, nil
}

// newPassword returns the hash of a password somebody has chosen, nil of none.
func (l *Login) newPassword(ctx context.Context, name, password string) (*string, error) {
	switch {
	case password == "":
		return nil, nil
	case utf8.RuneCountInString(password) < shortestPass || len(password) > longestPassword || !utf8.ValidString(password):
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "A password has %d characters or more, and at most %d bytes.", shortestPass, longestPassword)
	case name != "" && strings.Contains(folded(password), name) && utf8.RuneCountInString(password) < utf8.RuneCountInString(name)+shortestPass:
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "A password is not the name of its account with a little added.")
	}
	hash, err := l.hasher.hash(ctx, password)
	return &hash, err
}
