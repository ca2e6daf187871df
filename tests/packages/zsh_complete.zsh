# zsh_complete.zsh ZDOTDIR SETUP LINE: types LINE and a tab into an interactive zsh, prints what it says.
zmodload zsh/zpty
zpty shell "ZDOTDIR=${(q)1} zsh -f -i"
zpty -w shell "source ${(q)2}"
zpty -r shell said '*@ready@*'
zpty -w -n shell "$3"$'\t\x07'
zpty -r shell said '*@end@*'
print -r -- "$said"
zpty -d shell
