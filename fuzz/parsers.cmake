# The sources that the fuzz targets need when they are built for libFuzzer: the parsers and what those call, and
# not the layers, of whose files they are a quarter. That is what makes the build short enough for ./check.
#
# A target that needs a source which is missing here does not link ("undefined reference"): add it.
#
# A line is compiled as one file, so names in the unnamed namespaces of a layer's files have to differ
# (cmake/layers.cmake); what is APART is compiled file by file, as it is in its layer.
function(parsers layer)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "APART" "" "")
  list(TRANSFORM ARG_UNPARSED_ARGUMENTS REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/src/${layer}/\\1.cc")
  target_sources(fuzz_parsers PRIVATE ${ARG_UNPARSED_ARGUMENTS})
  if(NOT ARG_APART)
    set_source_files_properties(${ARG_UNPARSED_ARGUMENTS} PROPERTIES UNITY_GROUP ${layer})
  endif()
endfunction()

parsers(base bytes clock error file process text)
parsers(seal compression crc32c document gpg gzip_codec row_checksum sha256 zstd_codec)
parsers(store aws_answers aws_profile object_store s3_xml)
parsers(audit anchor canonical chain_checker export log_folder query record writer)
parsers(pg archive archive_toc binary_array binary_rows binary_values copy_statement lsn timeline_history
  wal_format wal_reader wal_records)
parsers(schedule cron cron_parse due next_run posix_tz tzif zone)
parsers(alert alert_message incident state_json wire_json)
parsers(dump branch_record fingerprint manifest names sql_tokens)
parsers(neon APART json json_answers json_read json_requests)
parsers(operate drill_record_json drill_record_markdown)
parsers(engine storage_documents wal_index)
parsers(serve account_json api api_account api_audit api_branches api_endpoints api_errors api_keys api_parameters
  api_projects api_roles api_schema api_snapshots router schedule_state text_diff web_target)
parsers(cli toml_file)
