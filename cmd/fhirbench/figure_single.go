package main

import (
	"context"
	"fmt"
)

const (
	groupSingle     = "Single requests"
	groupValidation = "Validation"
	wayOwnSQL       = "raw"
)

// figureTypes are the types that single requests are about.
var figureTypes = []string{"Communication", "Task", "QuestionnaireResponse"}

// singles measures single requests about the same resources: with sign-in and audit, without, and straight on the database.
func (f *figures) singles(ctx context.Context) error {
	c := f.config()
	p, err := foundPractice(ctx, f.open, c)
	if err != nil {
		return fmt.Errorf("make the practice: %w", err)
	}
	raw, err := openRaw(ctx, c)
	if err != nil {
		return err
	}
	defer raw.close()
	for _, c.typeName = range figureTypes {
		c.workload, _ = workloadNamed("read")
		// What raw has written cannot be changed by a server: the bodies are not those of the rows.
		set, err := f.newSet(ctx, c, p)
		if err != nil {
			return err
		}
		rawSet, err := f.newSet(ctx, c, p)
		if err != nil {
			return err
		}
		for _, name := range []string{"create", "read", "update"} {
			c.workload, _ = workloadNamed(name)
			for _, c.clients = range []int{figureClients, 1} {
				sides := []side{f.staffed(c, f.signed, p, set), f.staffed(c, f.open, p, set), f.staffed(c, raw, p, rawSet)}
				if err := f.single(ctx, c.workload.name+" "+c.typeName, sides); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *figures) newSet(ctx context.Context, c config, p practice) ([]*held, error) {
	set, err := createSet(ctx, c, f.open, &generator{seed: f.newSeed(), practice: p})
	if err != nil {
		return nil, fmt.Errorf("make the set: %w", err)
	}
	return set, nil
}

// staffed has workers with content of their own send requests to a target.
func (f *figures) staffed(c config, t target, p practice, set []*held) side {
	c.seed = f.newSeed()
	return sideOf(t, staff(c, &generator{seed: c.seed, practice: p}, set))
}

// single measures one interaction with one type.
func (f *figures) single(ctx context.Context, name string, sides []side) error {
	all, err := compete(ctx, f.rounds, f.lasting, sides...)
	if err != nil {
		return err
	}
	f.add(all[0].figure(groupSingle, name).over(wayOwnSQL, all[0].rates, all[2].rates))
	f.add(all[1].figure(groupSingle, name+", --auth=none").over(wayOwnSQL, all[1].rates, all[2].rates))
	f.add(all[2].figure(groupSingle, wayOwnSQL+" "+name).asReference())
	return nil
}

// sideOf has workers send their requests to a target.
func sideOf(t target, workers []*worker) side {
	return side{clients: len(workers), next: func(client int) func(context.Context) error {
		w := workers[client]
		o := w.next()
		return func(ctx context.Context) error {
			a, err := t.do(ctx, o)
			if err == nil && !a.ok() {
				err = fmt.Errorf("%s %s: status %d: %s", o.kind, o.typeName, a.status, a.text)
			}
			if err == nil {
				w.learn(o, a)
			}
			return err
		}
	}}
}

// validation compares creates under all checks with those under the structure alone, by two servers on one database.
func (f *figures) validation(ctx context.Context) error {
	const full, structure = "--validation full", "--validation structure"
	other, err := f.attached(ctx, "--auth=none", "--validation", "structure")
	if err != nil {
		return err
	}
	// What is measured stays valid if this fails.
	defer func() { _ = other.stop() }()
	if err := other.connect(ctx, ""); err != nil {
		return err
	}
	c := f.config()
	c.workload, _ = workloadNamed("create")
	p, err := foundPractice(ctx, f.open, c)
	if err != nil {
		return fmt.Errorf("make the practice: %w", err)
	}
	for _, c.typeName = range figureTypes {
		all, err := compete(ctx, f.rounds, f.lasting, f.staffed(c, f.open, p, nil), f.staffed(c, other, p, nil))
		if err != nil {
			return err
		}
		f.add(all[0].figure(groupValidation, "create "+c.typeName+", "+full).over(structure, all[0].rates, all[1].rates))
		f.add(all[1].figure(groupValidation, "create "+c.typeName+", "+structure).asReference())
	}
	return nil
}
