// Package web makes the HTML pages of the server: a resource as a person sees it
// in a browser, the pages on which people sign in and allow apps, and the one that says
// what the server is.
//
// It owns what a page looks like, what of a resource's content may become markup
// and links, the order of the pages between an app's request and its answer, and
// the headers that hold the browser to it. The pages run no script and load
// nothing. It does not know how people prove who they are, what a scope permits or
// where patients are stored: who calls it hands that over.
package web
