// Package dispatch brings messages to patients by SMS, e-mail, push and apps. It owns
// the tables dispatch_feed, dispatch_message, dispatch_job and dispatch_event.
//
// It follows the feed for messages that are in-progress and based on a
// CommunicationRequest, and makes a row of each in the transaction that stores its
// place in the feed, so that none is missed or taken twice. When it follows for the
// first time, it takes up those of the last hour, too; when its place in the feed was
// lost, as by a restore, all that are in-progress. One server at a time follows; all of
// them send. Whoever has a message in turn holds a lease on it, so that never are two
// servers at one message, but for what a server that hangs has sent already.
//
// What a message needs next is decided by [consultation.Progress.Next] from
// everything that is known of it: the ways to reach the person, the channels that
// were tried, and what they have said. So it makes no difference after which step a
// server was killed. A provider may be given a message more than once, always under
// the same key, by which it drops doubles.
//
// A provider that fails is given the message again after two seconds, then after twice
// as long each time, up to five minutes. The next channel has its turn when a channel
// has rejected the message, has said that it failed, or has not confirmed it in time:
// 24 hours, or what the request says in fallback-after. With no channel left, or when the
// time of the request is over, the message is not-done.
//
// What channels say comes in by [Engine.Hear]. It is stored once for each key of
// the provider, and only then has an effect, which may be had again.
package dispatch
