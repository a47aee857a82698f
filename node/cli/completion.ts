/** `mariana completion SHELL`: a script that completes commands, flags and their values. */

export const SHELLS = ["bash", "zsh"] as const;
export type Shell = (typeof SHELLS)[number];

/** What may stand behind each command: subcommands and flags. Those of `--help`, which a test compares. */
export const COMMANDS: Readonly<
  Record<string, { readonly words?: readonly string[]; readonly flags: readonly string[] }>
> = {
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
  completion: { words: SHELLS, flags: [] },
};

export function completionScript(shell: Shell): string {
  return shell === "zsh" ? `autoload -U +X bashcompinit && bashcompinit\n${SCRIPT}` : SCRIPT;
}

const cases = Object.entries(COMMANDS).map(
  ([command, { words = [], flags }]) => `    ${command}) words="${[...words, ...flags, "--help"].join(" ")}" ;;`,
);

/** bash's own, which zsh understands through bashcompinit. Names of files may hold spaces, so lines alone part them. */
const SCRIPT = `# mariana: completion for bash and zsh. In ~/.bashrc or ~/.zshrc:  source <(mariana completion bash)
_mariana() {
  local IFS=$' \\t\\n'
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" files="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    -*) ;;
    *) command="\${COMP_WORDS[i]}"; break ;;
    esac
  done
  case "$command" in
    "") words="${Object.keys(COMMANDS).join(" ")} --help --version" ;;
${cases.join("\n")}
  esac
  case "$before" in
    --dir) files="-d"; words="" ;;
    --journal) files="-f"; words="" ;;
    --wait) words="ready" ;;
    --suite) words="native noble" ;;
    --http | --socks) words="off" ;;
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
