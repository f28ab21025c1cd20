// Package web makes the HTML pages of the server: a resource as a person sees it
// in a browser.
//
// It owns what a page looks like, what of a resource's content may become markup
// and links, and the headers that hold the browser to it. The pages run no
// script and load nothing. It does not know routes, requests or sessions: who
// calls it hands over JSON that the server is about to send anyway.
package web
