// Package timer has things happen at a time, whatever is restarted meanwhile: once, or
// again and again from then on. It owns the tables timer and timer_feed.
//
// One of the servers on a database follows the feed. Of each resource that has changed it
// asks which alarms that has now, and keeps these as rows of the table timer, in the
// transaction that stores how far it has come: no change is missed, and none planned by
// halves. Clients that write wait for nothing of it.
//
// Every server takes rows that are due, under a lease, and has them sound. A row is done
// with after it has sounded, so one that was sounding when its server stopped sounds again:
// what sounds must be the same when it does so twice. A row that has sounded is kept until
// its resource has the alarm no more. Of the soundings that an alarm with Every has missed
// while no server ran, one is made up for.
//
// History that is loaded has no alarms. What was due more than a day before timers were planned
// for the first time does not sound: a server that had none until then, with years of open
// resources, would tell everything at once.
package timer
