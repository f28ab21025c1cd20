// Package attachment knows files that people attach: what they are by their
// content, how images go without what they tell about who took them and where, and
// how a scanner is asked if they are harmful.
//
// Nothing here decodes pixels. An image is taken apart into its segments or chunks,
// and those that are needed to show it are written out again byte for byte, so that
// it shows the very same pixels.
//
// What stays of an image:
//
//   - JPEG: tables, frames and scans; JFIF without its thumbnail; Adobe's marker of
//     the colour transform; the colour profile; of EXIF the orientation alone, in a
//     segment of its own, since the picture would lie on its side without it.
//   - PNG: the critical chunks, and those for transparency, colour, resolution and
//     animation. EXIF goes with the orientation in it, which viewers of PNG do not
//     follow alike.
//   - WebP: the picture, its animation and its colour profile.
//
// What comes behind the end of an image goes in every case. A colour profile stays
// because skin and wounds have other colours without it. HEIC and AVIF are refused:
// they can hide what they tell in many places, and there is no converter here. Other
// types pass as they are: GIF, TIFF and BMP too, which cameras do not make, and PDF,
// whose metadata are part of the document.
package attachment
