// Texts in which nothing hides. What is invisible, or turns the direction of what follows, is written by
// its number: control characters, bidirectional marks, joiners, spaces of no width.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

const numbered = (sign) => `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/** A text that is one line. */
export const plain = (text) => String(text).replace(HIDDEN, numbered);

/** A text whose lines stay lines. */
export const lines = (text) => String(text).replace(HIDDEN, (sign) => (sign === "\n" ? sign : numbered(sign)));
