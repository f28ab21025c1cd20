package pgserver

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as. PostgreSQL refuses to run as root.
type account struct {
	uid, gid int
	drop     bool // this process is root and has to become that user
}

// accountFor picks the user for a data directory: its owner if it exists, otherwise the present user, or for root the first of
// postgres and nobody.
func accountFor(data string) (account, error) {
	self := os.Getuid()
	uid, gid, err := owner(data)
	switch {
	case os.IsNotExist(err) && self != 0:
		return account{uid: self, gid: os.Getgid()}, nil
	case os.IsNotExist(err):
		return unprivileged()
	case err != nil:
		return account{}, fmt.Errorf("find the owner of the data directory: %w", err)
	case self == uid && self != 0:
		return account{uid: uid, gid: gid}, nil
	case self != 0:
		return account{}, fmt.Errorf("the data directory %s belongs to user %s: start the server as that user or as root", data, nameOf(uid))
	case uid == 0:
		return account{}, fmt.Errorf("the data directory %s belongs to root, and PostgreSQL does not run as root: chown it to postgres", data)
	}
	return account{uid: uid, gid: gid, drop: true}, nil
}

func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uid, gid: gid, drop: true}, nil
		}
	}
	return account{}, fmt.Errorf("PostgreSQL does not run as root, and there is no user postgres or nobody: add one, or start the server as an ordinary user")
}

// owner returns the user and the group of a file; a link is not followed.
func owner(path string) (int, int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("no owner known for %s", path)
	}
	return int(stat.Uid), int(stat.Gid), nil
}

func nameOf(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return u.Username
}

// attributes make a child run as the account, in a process group of its own: Ctrl-C in the terminal is not for it.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// give hands a file that this process made to the account.
func (a account) give(path string) error {
	if !a.drop {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// reaches says whether the account may pass through every directory down to dir; the error names the first that it may not.
func (a account) reaches(dir string) error {
	if !a.drop {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := a.reaches(parent); err != nil {
			return err
		}
	}
	uid, gid, err := owner(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&a.searchBit(uid, gid) != 0 {
		return nil
	}
	return fmt.Errorf("PostgreSQL runs as user %s, which may not enter %s: choose a data directory elsewhere, such as /var/lib/openconsult, "+
		"or run chmod o+x %s", nameOf(a.uid), dir, dir)
}

func (a account) searchBit(uid, gid int) os.FileMode {
	switch {
	case a.uid == uid:
		return 0o100
	case a.gid == gid:
		return 0o010
	}
	return 0o001
}
