/**
 * The scripts that shells load. Commands and options are written into them from the tree of commands; a newer version of
 * the program needs its script printed anew.
 */
import type { Command } from "commander";
import { KEYS_COMMAND } from "./completion-keys.js";
import { commandTree, optionsOf, type CommandInfo, type OptionInfo } from "./command-tree.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;

type Shell = (typeof SHELLS)[number];

/** What is completed for the value of an option; any other value is typed. */
const VALUES: Readonly<Record<string, string>> = {
  "--store": "files",
  "--file": "files",
  "--store-path": "files",
  "--state-dir": "folders",
  "--order": "key updatedAt",
};

interface Tree {
  readonly commands: readonly CommandInfo[];
  readonly options: readonly OptionInfo[];
  /** Commands whose first argument is a key. */
  readonly withKey: readonly string[];
  readonly withStore: readonly string[];
  /** Long options of any command that take a value. */
  readonly valued: readonly string[];
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = commandTree(program);
  const first = (argument: string): string[] =>
    commands.filter((command) => command.arguments[0] === argument).map(({ name }) => name);
  const valued = commands.flatMap(({ options }) =>
    options.filter(({ value }) => value !== undefined).map(({ long }) => long),
  );
  const tree: Tree = {
    commands,
    options: optionsOf(program),
    withKey: first("key"),
    withStore: first("store"),
    valued: [...new Set(valued)],
  };
  return { bash, zsh, fish }[shell](tree);
}

function optionWords(options: readonly OptionInfo[]): string {
  return options.map(({ long }) => long).join(" ");
}

/** `a|b|c` for a shell's `case`. */
const anyOf = (words: readonly string[]): string => words.join("|");

function valuesOf(kind: string): readonly string[] {
  return Object.keys(VALUES).filter((option) => VALUES[option] === kind);
}

/** Keys have colons, at which bash ends a word unless told otherwise: words are taken from the line itself. */
function bash({ commands, options, withKey, withStore, valued }: Tree): string {
  return `# Completion of sessiondir in bash. Made by: sessiondir completion bash
_sessiondir() {
  local line="\${COMP_LINE:0:COMP_POINT}" cur="" previous command="" arguments=0 word skip="" choices="" kept
  local -a words=()
  COMPREPLY=()
  read -ra words <<< "$line"
  case "$line" in
    *[[:space:]]) ;;
    *) cur="\${words[\${#words[@]}-1]}"; unset "words[\${#words[@]}-1]" ;;
  esac
  previous="\${words[\${#words[@]}-1]}"
  for word in "\${words[@]:1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      ${anyOf(valued)}) skip=1 ;;
      -*) ;;
      *) if [ -z "$command" ]; then command="$word"; else arguments=$((arguments + 1)); fi ;;
    esac
  done
  if [ -n "$skip" ]; then
    case "$previous" in
      ${anyOf(valuesOf("files"))}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
      ${anyOf(valuesOf("folders"))}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return ;;
      --order) choices="${VALUES["--order"] ?? ""}" ;;
      *) return ;;
    esac
  elif [ -z "$command" ]; then
    choices="${commands.map(({ name }) => name).join(" ")} ${optionWords(options)}"
  elif [[ "$cur" == -* ]]; then
    case "$command" in
${commands.map((command) => `      ${command.name}) choices="${optionWords(command.options)}" ;;`).join("\n")}
    esac
  elif [ "$arguments" -eq 0 ]; then
    case "$command" in
      ${anyOf(withKey)})
        local IFS=$'\\n'
        choices="$("\${words[0]}" ${KEYS_COMMAND} "$cur" -- "\${words[@]:1}" 2>/dev/null)"
        kept=""
        case "$COMP_WORDBREAKS" in *:*) kept="\${cur%"\${cur##*:}"}" ;; esac
        for word in $choices; do COMPREPLY+=("$(printf %q "\${word#"$kept"}")"); done
        return ;;
      ${anyOf(withStore)}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return ;;
      completion) choices="${SHELLS.join(" ")}" ;;
      help) choices="${commands.map(({ name }) => name).join(" ")}" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$choices" -- "$cur"))
}
complete -F _sessiondir sessiondir
`;
}

/** In single quotes for zsh and fish. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function zsh({ commands, options, withKey, withStore, valued }: Tree): string {
  const described = (name: string, description: string): string =>
    quoted(`${name.replaceAll(":", "\\:")}:${description}`);
  return `#compdef sessiondir
# Completion of sessiondir in zsh. Made by: sessiondir completion zsh
_sessiondir() {
  local command='' word='' skip='' current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}"
  local -i arguments=0
  local -a choices keys
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ -n "$skip" ]]; then skip=''; continue; fi
    case "$word" in
      ${anyOf(valued)}) skip=1 ;;
      -*) ;;
      *) if [[ -z "$command" ]]; then command="$word"; else arguments+=1; fi ;;
    esac
  done
  if [[ -n "$skip" ]]; then
    case "$previous" in
      ${anyOf(valuesOf("files"))}) _files ;;
      ${anyOf(valuesOf("folders"))}) _files -/ ;;
      --order) compadd -- ${VALUES["--order"] ?? ""} ;;
    esac
  elif [[ -z "$command" ]]; then
    if [[ "$current" == -* ]]; then
      choices=(${options.map(({ long, description }) => described(long, description)).join(" ")})
      _describe -o option choices
    else
      choices=(
${commands.map(({ name, description }) => `        ${described(name, description)}`).join("\n")}
      )
      _describe command choices
    fi
  elif [[ "$current" == -* ]]; then
    case "$command" in
${commands
  .map(
    (command) =>
      `      ${command.name}) choices=(${command.options.map(({ long, description }) => described(long, description)).join(" ")}) ;;`,
  )
  .join("\n")}
    esac
    _describe -o option choices
  elif (( arguments == 0 )); then
    case "$command" in
      ${anyOf(withKey)})
        keys=("\${(@f)$("\${words[1]}" ${KEYS_COMMAND} "\${(Q)current}" -- "\${(@Q)words[2,CURRENT-1]}" 2>/dev/null)}")
        compadd -- "\${(@)keys:#}" ;;
      ${anyOf(withStore)}) _files -/ ;;
      completion) compadd -- ${SHELLS.join(" ")} ;;
      help) compadd -- ${commands.map(({ name }) => name).join(" ")} ;;
    esac
  fi
}
if [[ "\${funcstack[1]}" == _sessiondir ]]; then _sessiondir "$@"; else compdef _sessiondir sessiondir; fi
`;
}

function fish({ commands, options, withKey, withStore, valued }: Tree): string {
  const names = commands.map(({ name }) => name).join(" ");
  const option = (condition: string, { long, short, value, description }: OptionInfo): string => {
    const parts = [`complete -c sessiondir -n ${quoted(condition)} -l ${long.replace(/^--/, "")}`];
    if (short !== undefined) parts.push(`-s ${short.replace(/^-/, "")}`);
    parts.push(`-d ${quoted(description)}`);
    if (value !== undefined) parts.push(valueFlags(long));
    return parts.join(" ");
  };
  return `# Completion of sessiondir in fish. Made by: sessiondir completion fish
complete -c sessiondir -f
function __sessiondir_at --description 'whether these commands, and no argument, have been typed'
  set -l command ''
  set -l skip ''
  for word in (commandline -opc)[2..-1]
    if test -n "$skip"
      set skip ''
      continue
    end
    switch $word
      case ${valued.join(" ")}
        set skip 1
      case '-*'
      case '*'
        test -n "$command"; and return 1
        set command $word
    end
  end
  test -z "$skip"; and contains -- "$command" $argv
end
function __sessiondir_keys
  set -l words (commandline -opc)
  $words[1] ${KEYS_COMMAND} (commandline -ct) -- $words[2..-1] 2>/dev/null
end
${commands
  .map(
    ({ name, description }) =>
      `complete -c sessiondir -n "__sessiondir_at ''" -a ${name} -d ${quoted(description)}`,
  )
  .join("\n")}
${options.map((info) => option("__sessiondir_at ''", info)).join("\n")}
${commands
  .flatMap(({ name, options: own }) => own.map((info) => option(`__fish_seen_subcommand_from ${name}`, info)))
  .join("\n")}
complete -c sessiondir -n '__sessiondir_at ${withKey.join(" ")}' -a '(__sessiondir_keys)'
complete -c sessiondir -n '__sessiondir_at ${withStore.join(" ")}' -a '(__fish_complete_directories)'
complete -c sessiondir -n '__sessiondir_at completion' -a '${SHELLS.join(" ")}'
complete -c sessiondir -n '__sessiondir_at help' -a '${names}'
`;
}

function valueFlags(long: string): string {
  switch (VALUES[long]) {
    case undefined:
      return "-x";
    case "files":
      return "-rF";
    case "folders":
      return "-xa '(__fish_complete_directories)'";
    default:
      return `-xa ${quoted(VALUES[long] ?? "")}`;
  }
}
