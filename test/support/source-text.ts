/**
 * TypeScript text seen as a reader of rules needs it: the code without comments and without what stands in strings, at
 * the same offsets, so that a line number found in it holds for the file.
 */
export interface SourceText {
  readonly path: string;
  readonly text: string;
  /** Comments, strings and regular expressions are blanks; newlines stay. */
  readonly code: string;
  /** Only comments are blanks. */
  readonly withoutComments: string;
}

/** What the scanner is inside of; a template literal comes back after each `${...}`. */
type Region = "code" | "line comment" | "block comment" | "string" | "template" | "regex";

export function sourceText(path: string, text: string): SourceText {
  const code = text.split("");
  const withoutComments = text.split("");
  let region: Region = "code";
  let quote = "";
  let inClass = false; // inside [...] of a regular expression, where a slash ends nothing
  const templateDepths: number[] = []; // brace depth at which each open `${` ends
  let depth = 0;
  let lastSignificant = "";
  let lastWord = "";

  const blank = (at: number, isComment: boolean) => {
    if (text[at] === "\n") return;
    code[at] = " ";
    if (isComment) withoutComments[at] = " ";
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    const pair = text.slice(at, at + 2);
    switch (region) {
      case "code":
        if (pair === "//" || pair === "/*") {
          region = pair === "//" ? "line comment" : "block comment";
          blank(at, true);
          blank(++at, true);
        } else if (character === '"' || character === "'") {
          region = "string";
          quote = character;
          lastSignificant = quote;
        } else if (character === "`") {
          region = "template";
        } else if (character === "/" && startsRegex(lastSignificant, lastWord)) {
          region = "regex";
          inClass = false;
          blank(at, false);
        } else {
          if (character === "{") depth++;
          if (character === "}") {
            if (templateDepths.at(-1) === depth) {
              templateDepths.pop();
              region = "template";
            }
            depth--;
          }
          if (/\w/.test(character)) {
            lastWord = /\w/.test(text[at - 1] ?? "") ? lastWord + character : character;
            lastSignificant = character;
          } else if (!/\s/.test(character)) {
            lastWord = "";
            lastSignificant = character;
          }
        }
        break;
      case "line comment":
        if (character === "\n") region = "code";
        else blank(at, true);
        break;
      case "block comment":
        blank(at, true);
        if (pair === "*/") {
          blank(++at, true);
          region = "code";
        }
        break;
      case "string":
        if (character === quote || character === "\n") region = "code";
        else {
          blank(at, false);
          if (character === "\\") blank(++at, false);
        }
        break;
      case "template":
        if (character === "`") {
          region = "code";
          lastSignificant = "`";
          lastWord = "";
        } else if (pair === "${") {
          depth++;
          templateDepths.push(depth);
          region = "code";
          lastSignificant = "{";
          lastWord = "";
          at++;
        } else {
          blank(at, false);
          if (character === "\\") blank(++at, false);
        }
        break;
      case "regex":
        blank(at, false);
        if (character === "\\") blank(++at, false);
        else if (character === "[") inClass = true;
        else if (character === "]") inClass = false;
        else if ((character === "/" && !inClass) || character === "\n") {
          region = "code";
          lastSignificant = ")"; // a value: what follows is no other regular expression
          lastWord = "";
        }
        break;
    }
  }
  return { path, text, code: code.join(""), withoutComments: withoutComments.join("") };
}

export function lineOf(source: SourceText, offset: number): number {
  return source.text.slice(0, offset).split("\n").length;
}

/** Everything the file imports: `from "x"`, `import "x"`, `import("x")`. */
export function importsOf(source: SourceText): { readonly target: string; readonly offset: number }[] {
  const pattern = /\b(?:from|import)\s*\(?\s*(["'])([^"'\n]+)\1/g;
  return [...source.withoutComments.matchAll(pattern)]
    .filter((match) => source.code.startsWith(match[0].slice(0, 4), match.index)) // the word itself stands in code
    .map((match) => ({ target: match[2]!, offset: match.index }));
}

/** A slash begins a regular expression where a value may begin, and divides where one has just ended. */
function startsRegex(lastSignificant: string, lastWord: string): boolean {
  if (/^(return|typeof|case|in|of|delete|void|throw|new|else|do)$/.test(lastWord)) return true;
  return lastSignificant === "" || "(,=:[!&|?{};+-*%<>~^".includes(lastSignificant);
}
