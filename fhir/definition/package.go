package definition

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// maxProblems bounds how many problems are listed.
const maxProblems = 1000

// A room is what a package may take.
type room struct {
	files    int
	file     int64 // bytes of one file
	unpacked int64 // bytes of all files
}

// enough takes the largest official packages, of 5,000 files and 100 MB, at least twice.
func enough() room { return room{files: 20_000, file: 64 << 20, unpacked: 256 << 20} }

// A Package is a set of definitions that are published together.
// https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
type Package struct {
	Name         string       // "fhir.r4.ukcore.stu2", or what the archive is called; empty for a folder that does not say
	Version      string       // "2.0.1"; may be empty
	Dependencies []Dependency // by name
	Contents     []File       // resources with a canonical URL, each type after those that it builds on
	Examples     []File       // other resources, and those in folders of examples, by name of the file
	Problems     []fhir.Issue // of files that were left out, or warnings; each begins with the name of its file
}

// A Dependency is a package that another one builds on.
type Dependency struct{ Name, Version string }

// A File is one resource of a package.
type File struct {
	Name     string // its path in the package, with slashes
	ID       string // what it may be stored under: its own id or, where that is none or another one's, one made from its URL; empty for an example without
	Resource *fhir.Resource
}

// ReadPackage reads an npm-style package, a .tgz file called name, with resources as
// JSON or XML in any folders. What is wrong with a file is one of the Problems, and the
// others are read; only what is no such archive, is damaged, or unpacks to too much is
// an error: an Outcome, unless r itself fails to read.
func ReadPackage(name string, r io.Reader) (*Package, error) {
	return readPackage(name, r, enough())
}

func readPackage(name string, r io.Reader, limits room) (*Package, error) {
	in := &input{r: r}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, in.fault()
	}
	defer z.Close()
	p := &packing{room: limits}
	archive := &budget{r: z, left: limits.unpacked + int64(limits.files)*tarBlock}
	if err := p.readTar(tar.NewReader(archive)); err != nil {
		switch {
		case archive.left < 0:
			return nil, p.tooMuch()
		case fhir.AsOutcome(err) != nil:
			return nil, err
		}
		return nil, in.fault()
	}
	whole := p.finish()
	whole.Name = cmp.Or(whole.Name, strings.TrimSuffix(path.Base(name), ".tgz"))
	return whole, nil
}

// tarBlock is what the header of a file takes in the archive, and its padding.
const tarBlock = 1 << 10

// ReadFolder reads a package that is unpacked, or any folder of definitions, as
// ReadPackage does. Folders with a name that begins with a dot are left out.
func ReadFolder(folder fs.FS) (*Package, error) {
	p := &packing{room: enough()}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			p.leaveOut(name, "This is a link or a device and not read; put the file itself into the folder.")
			return nil
		case !isRead(name):
			return nil
		}
		f, err := folder.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(p.add(name, f), f.Close())
	})
	if err != nil {
		return nil, err
	}
	return p.finish(), nil
}

func (p *packing) readTar(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(h.Name)
		switch {
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
		case h.Typeflag != tar.TypeReg:
			p.leaveOut(name, "This is a link or a device and not read; put the file itself into the package.")
		case !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00"):
			p.leaveOut(name, "This path leads out of the package; name the file by a path within it.")
		case isRead(name):
			if err := p.add(name, t); err != nil {
				return err
			}
		default:
			if err := p.count(0); err != nil {
				return err
			}
		}
	}
}

// isRead reports whether a file may hold a resource or says what the package is.
func isRead(name string) bool {
	base := path.Base(name)
	ext := strings.ToLower(path.Ext(base))
	return (ext == ".json" || ext == ".xml") && !strings.HasPrefix(base, ".")
}

// isExample reports whether a file stands in a folder for what is no part of the
// definitions.
func isExample(name string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(folder string) bool {
		switch strings.ToLower(folder) {
		case "example", "examples", "other", "tests":
			return true
		}
		return false
	})
}

// An input remembers a failure to read.
type input struct {
	r   io.Reader
	err error
}

func (i *input) Read(b []byte) (int, error) {
	n, err := i.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}

// fault is the failure to read, or else what the caller sent is damaged.
func (i *input) fault() error {
	if i.err != nil {
		return i.err
	}
	return fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "This is no package, or a damaged one; send the .tgz file as it was published.")
}

// A budget reads until left is spent.
type budget struct {
	r    io.Reader
	left int64 // negative when there was more
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errors.New("more than may be unpacked")
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
