#include "engine/server_config.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/text.h"

namespace holdfast {
namespace {

ServerPlan plan_for_tests() {
  ServerPlan plan;
  plan.major = 15;
  plan.data_folder = "/engine/br-1/data";
  plan.socket_folder = "/engine/br-1/run";
  plan.listen_address = "127.0.0.1";
  plan.port = 15500;
  plan.certificate_file = "/engine/server.crt";
  plan.key_file = "/engine/server.key";
  plan.has_library = [](const std::string& name) { return name.find("missing") == name.npos; };
  plan.has_locale = [](const std::string& name) { return name == "C" || name == "C.UTF-8"; };
  return plan;
}

// What PostgreSQL would make of the file: the last one of a name wins. Values as they are quoted.
std::map<std::string, std::string> read_back(const std::string& conf) {
  std::map<std::string, std::string> settings;
  for (const std::string& line : split(conf, '\n')) {
    size_t equals = line.find(" = ");
    if (line.starts_with('#') || equals == std::string::npos) continue;
    std::string name = line.substr(0, equals);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    settings[name] = line.substr(equals + 3);
  }
  return settings;
}

std::map<std::string, std::string> settings_of(const ServerPlan& plan) {
  return read_back(postgresql_conf(plan));
}

TEST(ServerConfig, QuarantineBeatsEverybody) {
  ServerPlan plan = plan_for_tests();
  plan.recovering = true;
  for (const Setting& setting : quarantine_settings(plan)) {
    plan.user[setting.first] = "user's";
    plan.source[setting.first] = "source's";
    plan.brought.emplace_back(setting.first, "brought");
  }
  plan.user["Archive_Mode"] = "always";
  plan.brought.emplace_back("max_logical_replication_workers", "4");
  auto written = settings_of(plan);
  for (const auto& [name, value] : quarantine_settings(plan_for_tests()))
    EXPECT_EQ(written.at(name).find("source's"), std::string::npos) << name;
  EXPECT_EQ(written.at("archive_mode"), "'off'");
  EXPECT_EQ(written.at("archive_command"), "''");
  EXPECT_EQ(written.at("primary_conninfo"), "''");
  EXPECT_EQ(written.at("primary_slot_name"), "''");
  EXPECT_EQ(written.at("synchronous_standby_names"), "''");
  EXPECT_EQ(written.at("max_logical_replication_workers"), "'0'");
  EXPECT_EQ(written.at("ssl"), "'on'");
  EXPECT_EQ(written.at("password_encryption"), "'scram-sha-256'");
  EXPECT_EQ(written.at("log_min_error_statement"), "'panic'");
  EXPECT_EQ(written.at("log_error_verbosity"), "'terse'");
  EXPECT_EQ(written.at("unix_socket_directories"), "'\"/engine/br-1/run\"'");
  std::string text = postgresql_conf(plan);
  EXPECT_EQ(text.find("user''s"), std::string::npos);
  EXPECT_EQ(text.find("brought"), std::string::npos);
}

TEST(ServerConfig, WhatProtectsOthersIsOnTheCommandLineToo) {
  std::vector<std::string> arguments = quarantine_arguments(plan_for_tests());
  std::string all;
  for (const std::string& argument : arguments) all += argument + "\n";
  for (const char* wanted :
       {"archive_mode=off", "synchronous_standby_names=", "max_logical_replication_workers=0",
        "primary_conninfo=", "wal_keep_size=1024TB", "hba_file=/engine/br-1/data/pg_hba.conf",
        "port=15500", "listen_addresses=127.0.0.1"})
    EXPECT_NE(all.find("-c\n" + std::string(wanted) + "\n"), std::string::npos) << wanted << all;
}

TEST(ServerConfig, OnlyNamesThatTheMajorKnows) {
  ServerPlan plan = plan_for_tests();
  plan.major = 13;
  auto old = settings_of(plan);
  for (const char* name :
       {"archive_library", "recovery_init_sync_method", "ssl_crl_dir", "sync_replication_slots"})
    EXPECT_FALSE(old.contains(name)) << name;
  plan.major = 17;
  auto newer = settings_of(plan);
  for (const char* name :
       {"archive_library", "recovery_init_sync_method", "ssl_crl_dir", "sync_replication_slots"})
    EXPECT_TRUE(newer.contains(name)) << name;
}

TEST(ServerConfig, CarriesMeaningAndNothingElse) {
  ServerPlan plan = plan_for_tests();
  plan.source = {
      {"DateStyle", "German, DMY"},
      {"TimeZone", "Europe/Berlin"},
      {"default_text_search_config", "pg_catalog.german"},
      {"lc_monetary", "C.UTF-8"},
      {"lc_numeric", "xx_XX"},
      {"search_path", "\"$user\", care"},
      {"plpgsql.variable_conflict", "use_column"},
      {"shared_preload_libraries", "pg_stat_statements, missing_one, \"pg_cron\", $libdir/pg_net"},
      {"shared_buffers", "1048576"},
      {"primary_conninfo", "host=primary password=secret"},
      {"archive_command", "push %p"},
      {"statement_timeout", "5000"},
      {"app.secret", "sesame"}};
  auto written = settings_of(plan);
  EXPECT_EQ(written.at("datestyle"), "'German, DMY'");
  EXPECT_EQ(written.at("timezone"), "'Europe/Berlin'");
  EXPECT_EQ(written.at("default_text_search_config"), "'pg_catalog.german'");
  EXPECT_EQ(written.at("lc_monetary"), "'C.UTF-8'");
  EXPECT_FALSE(written.contains("lc_numeric"));
  EXPECT_EQ(written.at("search_path"), "'\"$user\", care'");
  EXPECT_EQ(written.at("plpgsql.variable_conflict"), "'use_column'");
  EXPECT_EQ(written.at("shared_preload_libraries"), "'\"pg_stat_statements\"'");
  EXPECT_EQ(written.at("shared_buffers"), "'128MB'");
  EXPECT_FALSE(written.contains("statement_timeout"));
  std::string text = postgresql_conf(plan);
  EXPECT_EQ(text.find("secret"), std::string::npos);
  auto kept = settings_that_matter(plan.source);
  EXPECT_FALSE(kept.contains("primary_conninfo"));
  EXPECT_FALSE(kept.contains("app.secret"));
  EXPECT_TRUE(kept.contains("shared_preload_libraries"));
  EXPECT_TRUE(kept.contains("lc_numeric"));
}

TEST(ServerConfig, NothingFallsBelowWhatRecoveryDemands) {
  ServerPlan plan = plan_for_tests();
  plan.brought = {{"recovery_target_lsn", "0/5000028"},
                  {"max_connections", "300"},
                  {"max_prepared_transactions", "20"},
                  {"max_wal_senders", "40"}};
  plan.source = {{"max_prepared_transactions", "50"}};
  plan.user = {{"max_connections", "20"}, {"max_wal_senders", "100"}};
  auto written = settings_of(plan);
  EXPECT_EQ(written.at("max_connections"), "'300'");
  EXPECT_EQ(written.at("max_prepared_transactions"), "'50'");
  EXPECT_EQ(written.at("max_wal_senders"), "'100'");
  EXPECT_FALSE(written.contains("recovery_target_lsn"));
  plan.recovering = true;
  plan.user["recovery_target_lsn"] = "0/1";
  EXPECT_EQ(settings_of(plan).at("recovery_target_lsn"), "'0/5000028'");
  plan.user.clear();
  plan.compute_units = 2;
  EXPECT_EQ(settings_of(plan).at("max_connections"), "'900'");
}

TEST(ServerConfig, ValuesStayValues) {
  ServerPlan plan = plan_for_tests();
  plan.user = {{"app.text", "it's a \\ and\na second line\narchive_mode = on"}};
  EXPECT_EQ(settings_of(plan).at("app.text"),
            R"('it''s a \\ and\na second line\narchive_mode = on')");
  for (const char* name : {"", "1st", "a b", "a\nb", "include", "INCLUDE_DIR", "include_if_exists",
                           "external_pid_file", "data_directory", "x = 1 # "}) {
    plan.user = {{name, "1"}};
    EXPECT_ERROR(invalid, postgresql_conf(plan));
  }
  plan.user = {{"work_mem", std::string("1\0", 2)}};
  EXPECT_ERROR(invalid, postgresql_conf(plan));
}

TEST(ServerConfig, SizesGrowWithTheUnits) {
  auto of = [](double units) {
    std::map<std::string, std::string> sizes;
    for (const auto& [name, value] : size_settings(units)) sizes[name] = value;
    return sizes;
  };
  EXPECT_EQ(of(0.25).at("shared_buffers"), "128MB");
  EXPECT_EQ(of(1).at("shared_buffers"), "512MB");
  EXPECT_EQ(of(8).at("shared_buffers"), "4096MB");
  EXPECT_EQ(of(0).at("shared_buffers"), "64MB");
  EXPECT_EQ(of(1).at("max_connections"), "450");
  EXPECT_EQ(of(1000).at("max_connections"), "4000");
}

TEST(ServerConfig, LogicalDecodingStaysPossible) {
  ServerPlan plan = plan_for_tests();
  EXPECT_EQ(settings_of(plan).at("wal_level"), "'replica'");
  plan.source["wal_level"] = "logical";
  EXPECT_EQ(settings_of(plan).at("wal_level"), "'logical'");
  plan.user["wal_level"] = "minimal";
  EXPECT_EQ(settings_of(plan).at("wal_level"), "'replica'");
}

TEST(ServerConfig, ClientsGetInByTlsAndScramOnly) {
  auto rules = [](const std::string& listen, bool open) {
    std::vector<std::string> lines;
    for (const std::string& line : split(pg_hba_conf(listen, open), '\n'))
      if (!line.empty() && !line.starts_with('#')) lines.push_back(line);
    return lines;
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(rules("127.0.0.1", false), Lines({"local all all trust"}));
  EXPECT_EQ(rules("127.0.0.1", true),
            Lines({"local all all trust", "hostssl all all 127.0.0.0/8 scram-sha-256",
                   "hostssl all all ::1/128 scram-sha-256"}));
  EXPECT_EQ(rules("0.0.0.0", true),
            Lines({"local all all trust", "hostssl all all all scram-sha-256"}));
  EXPECT_FALSE(is_loopback("128.0.0.1"));
  EXPECT_FALSE(is_loopback("*"));
}

}  // namespace
}  // namespace holdfast
