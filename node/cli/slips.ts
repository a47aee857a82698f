/** What somebody who mistyped a command or a flag is told. */
import { nearest } from "../../sim/scenario/nearest.js";
import { COMMANDS } from "./completion.js";
import { usage } from "./usage.js";

/** yargs tells what it could not read; what was meant is found among the flags of that command. */
export function explained(message: string, args: readonly string[]): string {
  const unknown = /^Unknown arguments?: ([^,\s]+)/.exec(message)?.[1];
  const given = args.find((arg) => arg.replace(/^-+/, "").split("=")[0] === unknown);
  if (unknown === undefined || given?.startsWith("-") !== true) return message;
  const [command = "", word = ""] = args;
  const inner = COMMANDS[command]?.inner?.[word];
  const near = nearest(
    unknown,
    (inner ?? COMMANDS[command]?.flags ?? []).map((flag) => flag.slice(2)),
  );
  const meant = near === undefined ? "" : ` (did you mean --${near}?)`;
  const name = inner === undefined ? command : `${command} ${word}`;
  return `"mariana ${name}" takes no ${given.split("=")[0]}${meant}`;
}

/** Before yargs, which guesses at commands that are not near and takes any value for yes. */
export function refuseSlips(args: readonly string[]): void {
  const [command = "", word = ""] = args;
  refuseUnknown(command, Object.keys(COMMANDS), "mariana --help");
  if (command === "host" || command === "sim")
    refuseUnknown(word, COMMANDS[command]!.words!, `mariana ${command} --help`);
  if (command === "sim" && word === "run") return; // its --json has a value
  for (const arg of args) {
    const [, flag, value] = /^--(json|rotate)=(.*)$/.exec(arg) ?? [];
    if (flag !== undefined && value !== "true" && value !== "false") {
      usage(`${arg}: --${flag} takes no value`, `leave "=${value}" out, or leave --${flag} out`);
    }
  }
}

function refuseUnknown(word: string, known: readonly string[], help: string): void {
  if (word === "" || word.startsWith("-") || known.includes(word)) return;
  const near = nearest(word, known);
  const meant = near === undefined ? `known: ${known.join(", ")}` : `did you mean ${near}?`;
  usage(`there is no command "${word}" (${meant})`, `see  ${help}`);
}

export function helpFor(command = "", word = ""): string {
  if (COMMANDS[command]?.inner?.[word] !== undefined) return `see  mariana ${command} ${word} --help`;
  return COMMANDS[command] === undefined ? "see  mariana --help" : `see  mariana ${command} --help`;
}
