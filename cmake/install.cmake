# cmake --install: the program, and what it writes of itself (manual page, completions), below the prefix; DESTDIR
# is heeded. User, folders and units are the Debian package's: packaging/debian/.
install(TARGETS holdfast RUNTIME DESTINATION bin)
install(FILES packaging/grafana/holdfast.json DESTINATION share/holdfast/grafana)
install(FILES packaging/prometheus/holdfast.rules.yml DESTINATION share/holdfast/prometheus)
install(CODE [[
  set(prefix "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")
  function(write_what_it_says path)
    get_filename_component(folder "${prefix}/${path}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    message(STATUS "Installing: ${prefix}/${path}")
    execute_process(COMMAND "${prefix}/bin/holdfast" ${ARGN} OUTPUT_FILE "${prefix}/${path}" COMMAND_ERROR_IS_FATAL ANY)
  endfunction()
  write_what_it_says(share/man/man1/holdfast.1 help man)
  write_what_it_says(share/bash-completion/completions/holdfast completion bash)
  write_what_it_says(share/zsh/site-functions/_holdfast completion zsh)
  write_what_it_says(share/fish/vendor_completions.d/holdfast.fish completion fish)
]])
