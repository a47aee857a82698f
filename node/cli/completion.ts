/** `mariana completion SHELL`: a script that completes commands, flags and their values. */

export const SHELLS = ["bash", "zsh"] as const;
export type Shell = (typeof SHELLS)[number];

interface Words {
  readonly words?: readonly string[];
  readonly flags: readonly string[];
  /** Flags of each subcommand, where they differ. */
  readonly inner?: Readonly<Record<string, readonly string[]>>;
}

const CHANGES = ["--seed", "--set", "--crypto", "--mutate"];
const RUNNING = ["--workers", "--until", "--budget"];

const EXPLORING = ["--seed", "--set", "--mutate", "--depth", "--losses", "--flaps", "--late", "--states", "--seconds"];

const SIM: Readonly<Record<string, readonly string[]>> = {
  run: [...CHANGES, ...RUNNING, "--json", "--junit", "--chain", "--moments", "--second", "--shuffle", "--quiet"],
  validate: ["--set"],
  schema: [],
  expand: [...CHANGES, "--json"],
  verify: [...CHANGES, "--until", "--json"],
  sweep: [...CHANGES, ...RUNNING, "--seeds", "--shard", "--jobs", "--out", "--json"],
  merge: ["--json"],
  compare: ["--max-regress", "--all", "--json"],
  baseline: ["--check", "--baselines", "--jobs", "--json"],
  shrink: [...CHANGES, "--until", "--workers", "--out", "--budget", "--runs", "--json"],
  explore: [...EXPLORING, "--out", "--replay", "--json"],
  bench: ["--json"],
};

/** What may stand behind each command: subcommands and flags. Those of `--help`, which a test compares. */
export const COMMANDS: Readonly<Record<string, Words>> = {
  up: {
    flags: ["--dir", "--udp", "--http", "--socks", "--peer", "--host", "--rotate", "--journal", "--wait", "--timeout"],
  },
  id: { flags: ["--dir", "--json"] },
  status: { flags: ["--dir", "--json", "--wait", "--timeout"] },
  peers: { flags: ["--dir", "--json"] },
  routes: { flags: ["--dir", "--json"] },
  streams: { flags: ["--dir", "--json"] },
  ping: { flags: ["--dir", "--json", "--count"] },
  host: { words: ["add", "ls", "rm", "check"], flags: ["--dir", "--json"] },
  replay: { flags: ["--json", "--suite"] },
  sim: { words: Object.keys(SIM), flags: [], inner: SIM },
  completion: { words: SHELLS, flags: [] },
};

export function completionScript(shell: Shell): string {
  return shell === "zsh" ? `autoload -U +X bashcompinit && bashcompinit\n${SCRIPT}` : SCRIPT;
}

const innerCases = Object.entries(COMMANDS).flatMap(([command, { inner = {} }]) =>
  Object.entries(inner).map(
    ([word, flags]) => `    "${command} ${word}") words="${[...flags, "--help"].join(" ")}" ;;`,
  ),
);

const cases = Object.entries(COMMANDS).map(
  ([command, { words = [], flags }]) => `    ${command}) words="${[...words, ...flags, "--help"].join(" ")}" ;;`,
);

/** bash's own, which zsh understands through bashcompinit. Names of files may hold spaces, so lines alone part them. */
const SCRIPT = `# mariana: completion for bash and zsh. In ~/.bashrc or ~/.zshrc:  source <(mariana completion bash)
_mariana() {
  local IFS=$' \\t\\n'
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="" inner="" words="" files="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    -*) ;;
    *) if [ -z "$command" ]; then command="\${COMP_WORDS[i]}"; else inner="\${COMP_WORDS[i]}"; break; fi ;;
    esac
  done
  case "$command" in
    "") words="${Object.keys(COMMANDS).join(" ")} --help --version" ;;
${cases.join("\n")}
  esac
  case "$command $inner" in
${innerCases.join("\n")}
  esac
  case "$command $inner" in
    "sim run" | "sim validate" | "sim expand" | "sim verify" | "sim sweep" | "sim shrink" | "sim explore" | "sim compare" | "sim baseline") files="-f" ;;
    "sim merge") files="-d" ;;
  esac
  case "$before" in
    --dir) files="-d"; words="" ;;
    --journal) files="-f"; words="" ;;
    --wait) words="ready" ;;
    --suite) words="native noble" ;;
    --http | --socks) words="off" ;;
    --crypto) words="modelled real"; files="" ;;
    --mutate) words="feasibility retraction death delta"; files="" ;;
    --out) [ "$inner" = sweep ] && files="-d"; words="" ;;
    --seed | --set | --workers | --until | --budget | --shuffle | --second | --seeds | --shard | --jobs | --max-regress | --runs | --depth | --losses | --flaps | --late | --states | --seconds) words=""; files="" ;;
    --junit | --chain | --moments | --baselines | --replay) files="-f"; words="" ;;
    --udp | --peer | --host | --timeout | --count | -c) words="" ;;
    replay) files="-f" ;;
  esac
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); fi
  if [ -n "$files" ]; then
    IFS=$'\\n'
    COMPREPLY+=($(compgen $files -- "$word"))
    compopt -o filenames 2>/dev/null
  fi
  return 0
}
complete -F _mariana mariana
`;
