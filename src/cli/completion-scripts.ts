/**
 * The scripts that shells load. Commands and options are written into them from the tree of commands; a newer version of
 * the program needs its script printed anew.
 */
import type { Command } from "commander";
import { KEYS_COMMAND } from "./completion-keys.js";
import { commandTree, optionsOf, runnable, type CommandInfo, type OptionInfo } from "./command-tree.js";

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
  /** The first words. */
  readonly commands: readonly CommandInfo[];
  /** Those of them that another command follows. */
  readonly groups: readonly CommandInfo[];
  /** Commands that have options and arguments. */
  readonly leaves: readonly CommandInfo[];
  readonly options: readonly OptionInfo[];
  /** Commands whose first argument is a key. */
  readonly withKey: readonly string[];
  readonly withStore: readonly string[];
  /** Long options of any command that take a value. */
  readonly valued: readonly string[];
}

export function completionScript(program: Command, shell: Shell): string {
  const commands = commandTree(program);
  const leaves = runnable(commands);
  const first = (argument: string): string[] =>
    leaves.filter((command) => command.arguments[0] === argument).map(({ name }) => name);
  const valued = leaves.flatMap(({ options }) =>
    options.filter(({ value }) => value !== undefined).map(({ long }) => long),
  );
  const tree: Tree = {
    commands,
    groups: commands.filter((command) => command.commands.length > 0),
    leaves,
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

/** `a|b|"c d"` for a shell's `case`. */
const anyOf = (words: readonly string[]): string =>
  words.map((word) => (word.includes(" ") ? `"${word}"` : word)).join("|");

const namesOf = (commands: readonly CommandInfo[]): string[] => commands.map(({ name }) => name);

/** The words that may follow the name of a group. */
const wordsIn = ({ name, commands }: CommandInfo): string[] =>
  namesOf(commands).map((full) => full.slice(name.length + 1));

function valuesOf(kind: string): readonly string[] {
  return Object.keys(VALUES).filter((option) => VALUES[option] === kind);
}

/** Keys have colons, at which bash ends a word unless told otherwise: words are taken from the line itself. */
function bash({ commands, groups, leaves, options, withKey, withStore, valued }: Tree): string {
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
      *)
        case "$command" in
          "") command="$word" ;;
          ${anyOf(namesOf(groups))}) command="$command $word" ;;
          *) arguments=$((arguments + 1)) ;;
        esac ;;
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
    choices="${namesOf(commands).join(" ")} ${optionWords(options)}"
  elif [[ "$cur" == -* ]]; then
    case "$command" in
${leaves.map((command) => `      ${anyOf([command.name])}) choices="${optionWords(command.options)}" ;;`).join("\n")}
    esac
  elif [ "$arguments" -eq 0 ]; then
    case "$command" in
${groups.map((group) => `      ${group.name}) choices="${wordsIn(group).join(" ")}" ;;`).join("\n")}
      ${anyOf(withKey)})
        local IFS=$'\\n'
        choices="$("\${words[0]}" ${KEYS_COMMAND} "$cur" -- "\${words[@]:1}" 2>/dev/null)"
        kept=""
        case "$COMP_WORDBREAKS" in *:*) kept="\${cur%"\${cur##*:}"}" ;; esac
        for word in $choices; do COMPREPLY+=("$(printf %q "\${word#"$kept"}")"); done
        return ;;
      ${anyOf(withStore)}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return ;;
      completion) choices="${SHELLS.join(" ")}" ;;
      help) choices="${namesOf(commands).join(" ")}" ;;
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

function zsh({ commands, groups, leaves, options, withKey, withStore, valued }: Tree): string {
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
      *)
        case "$command" in
          '') command="$word" ;;
          ${anyOf(namesOf(groups))}) command="$command $word" ;;
          *) arguments+=1 ;;
        esac ;;
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
${leaves
  .map(
    (command) =>
      `      ${anyOf([command.name])}) choices=(${command.options.map(({ long, description }) => described(long, description)).join(" ")}) ;;`,
  )
  .join("\n")}
    esac
    _describe -o option choices
  elif (( arguments == 0 )); then
    case "$command" in
${groups
  .map(
    (group) =>
      `      ${group.name}) choices=(${group.commands.map(({ name, description }) => described(name.slice(group.name.length + 1), description)).join(" ")}); _describe command choices ;;`,
  )
  .join("\n")}
      ${anyOf(withKey)})
        keys=("\${(@f)$("\${words[1]}" ${KEYS_COMMAND} "\${(Q)current}" -- "\${(@Q)words[2,CURRENT-1]}" 2>/dev/null)}")
        compadd -- "\${(@)keys:#}" ;;
      ${anyOf(withStore)}) _files -/ ;;
      completion) compadd -- ${SHELLS.join(" ")} ;;
      help) compadd -- ${namesOf(commands).join(" ")} ;;
    esac
  fi
}
if [[ "\${funcstack[1]}" == _sessiondir ]]; then _sessiondir "$@"; else compdef _sessiondir sessiondir; fi
`;
}

function fish({ commands, groups, leaves, options, withKey, withStore, valued }: Tree): string {
  const named = (words: readonly string[]): string =>
    words.map((word) => (word.includes(" ") ? `"${word}"` : word)).join(" ");
  const choice = (condition: string, word: string, description: string): string =>
    `complete -c sessiondir -n ${quoted(condition)} -a ${word} -d ${quoted(description)}`;
  const option = (condition: string, { long, short, value, description }: OptionInfo): string => {
    const parts = [`complete -c sessiondir -n ${quoted(condition)} -l ${long.replace(/^--/, "")}`];
    if (short !== undefined) parts.push(`-s ${short.replace(/^-/, "")}`);
    parts.push(`-d ${quoted(description)}`);
    if (value !== undefined) parts.push(valueFlags(long));
    return parts.join(" ");
  };
  return `# Completion of sessiondir in fish. Made by: sessiondir completion fish
complete -c sessiondir -f
function __sessiondir_line --description 'the command that was typed, and a line for each argument; nothing where a value is due'
  set -l command ''
  set -l arguments
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
        if test -z "$command"
          set command $word
        else if contains -- "$command" ${namesOf(groups).join(" ")}
          set command "$command $word"
        else
          set -a arguments argument
        end
    end
  end
  test -z "$skip"; and printf '%s\\n' "$command" $arguments
end
function __sessiondir_in --description 'whether one of these commands has been typed'
  set -l line (__sessiondir_line)
  test (count $line) -gt 0; and contains -- "$line[1]" $argv
end
function __sessiondir_at --description 'whether one of these commands, and no argument, has been typed'
  set -l line (__sessiondir_line)
  test (count $line) -eq 1; and contains -- "$line[1]" $argv
end
function __sessiondir_keys
  set -l words (commandline -opc)
  $words[1] ${KEYS_COMMAND} (commandline -ct) -- $words[2..-1] 2>/dev/null
end
${commands.map(({ name, description }) => choice("__sessiondir_at ''", name, description)).join("\n")}
${groups
  .flatMap((group) =>
    group.commands.map(({ name, description }) =>
      choice(`__sessiondir_at ${group.name}`, name.slice(group.name.length + 1), description),
    ),
  )
  .join("\n")}
${options.map((info) => option("__sessiondir_at ''", info)).join("\n")}
${leaves
  .flatMap(({ name, options: own }) => own.map((info) => option(`__sessiondir_in ${named([name])}`, info)))
  .join("\n")}
complete -c sessiondir -n '__sessiondir_at ${named(withKey)}' -a '(__sessiondir_keys)'
complete -c sessiondir -n '__sessiondir_at ${named(withStore)}' -a '(__fish_complete_directories)'
complete -c sessiondir -n '__sessiondir_at completion' -a '${SHELLS.join(" ")}'
complete -c sessiondir -n '__sessiondir_at help' -a '${namesOf(commands).join(" ")}'
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
