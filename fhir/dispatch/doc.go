// Package dispatch brings messages to patients by SMS, e-mail, push and apps.
//
// It follows the feed for messages that are in-progress and based on a
// CommunicationRequest, and makes a row of each in the transaction that stores its
// place in the feed, so that none is missed or taken twice. One server at a time
// follows; all of them send. Whoever has a message in turn holds a lease on it, so
// that never are two servers at one message, but for what a server that hangs has
// sent already.
//
// What a message needs next is decided by [consultation.Progress.Next] from
// everything that is known of it: the ways to reach the person, the channels that
// were tried, and what they have said. So it makes no difference after which step a
// server was killed. A provider is given each message at least once, always under
// the same key, by which it drops doubles.
//
// What channels say comes in by [Engine.Hear]. It is stored once for each key of
// the provider, and only then has an effect, which may be had again.
package dispatch
