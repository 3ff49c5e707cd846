// Text from elsewhere on somebody's terminal: names of pods and networks, words of programs. Escape characters in it could rewrite what an admin
// reads, or worse. Pure.

/** Control characters but for the line's end and the tab, and those that change the direction of text (Unicode "Bidi_Control"). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Such characters become visible, for example `\u001b`. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
