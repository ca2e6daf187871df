# Makes an interactive zsh show what it would complete; test_shells.py drives it. $ZDOTDIR has _holdfast.
PROMPT= RPROMPT=
fpath=($ZDOTDIR $fpath)
autoload -Uz compinit && compinit -u -d $ZDOTDIR/dump

# Everything that is offered goes through compadd: it does its work, and its matches are shown.
compadd() {
  builtin compadd "$@"
  local code=$?
  [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && return $code
  local -a matches
  builtin compadd -O matches "$@"
  local match
  for match in $matches; do print -r -- "<match>$match</match>"; done
  return $code
}

told() { print -r -- "@end@" }
zle -N told
bindkey '^I' complete-word
bindkey '^G' told
print -r -- "@ready@"
