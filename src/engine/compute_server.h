// The files and the process of one compute: what Compute (compute.h) is made of. Configuration is
// written whole before every start; the server is a daemon that this object finds, starts, waits
// for and stops, and that needs nothing of it while it runs.
//
// Threads and errors as of Compute.
#pragma once

#include <optional>
#include <string>

#include "base/process.h"
#include "base/run.h"
#include "engine/compute.h"
#include "engine/compute_record.h"
#include "engine/server_process.h"
#include "pg/connection.h"

namespace holdfast {

class ComputeServer {
 public:
  ComputeServer(const ClientTools& tools, const ComputeSettings& settings)
      : tools_(tools), settings_(settings) {}

  const std::string& folder() const { return settings_.folder; }
  std::string data() const { return settings_.folder + "/data"; }
  std::string run_folder() const { return settings_.folder + "/run"; }
  std::string log_file() const { return settings_.folder + "/log"; }
  std::string record_file() const { return settings_.folder + "/compute.json"; }

  // The record; throws Error(invalid) where there is none yet.
  ComputeRecord record() const;

  // What has to be right before anything is touched: not root, programs of the right major, a data
  // folder, a socket path that fits, tablespaces that are the branch's own.
  void check(int expected_major) const;

  // Once per compute, before its record is written: the source's configuration and slots go.
  void set_source_aside() const;
  // postgresql.conf, pg_hba.conf and pg_ident.conf.
  void write_configuration(const ComputeRecord& record, bool recovering) const;
  void write_access(bool open) const;

  // Starts the server (write_configuration comes before) and waits until it takes connections, as
  // long as that takes; one that runs or is starting already is waited for.
  void start(const ComputeRecord& record, const Run& run) const;
  // Makes the running server read pg_hba.conf again; returns when new connections go by it.
  // `before` is a connection that was made earlier.
  void reload(const std::string& admin, Connection& before, const Run& run) const;
  void stop(const Run& run) const;

  // As `admin`, through the socket. `options`: of the session, beyond those of every session.
  Conninfo conninfo(const std::string& admin, const std::string& database) const;
  Connection connect(const std::string& admin, const std::string& database) const;
  // To the first of postgres and template1 that is there.
  Connection connect_anywhere(const std::string& admin) const;

  // A session of a superuser that can log in, whoever that is: asked of the running server where
  // one called postgres lets us, else of the stopped one in single-user mode (it is started again).
  // Its name is put into the record.
  Connection connect_as_admin(ComputeRecord& record, const Run& run) const;

  // Keeps the log from growing without end.
  void bound_log() const;

 private:
  ServerPlan plan(const ComputeRecord& record, bool recovering) const;
  void check_port() const;
  void check_tablespaces() const;
  void launch(const ComputeRecord& record, const Run& run) const;
  void wait_until_ready(Fd launched, size_t log_from, const Run& run) const;
  Error not_started(size_t log_from) const;
  std::string ask_alone(const std::string& sql) const;

  const ClientTools& tools_;
  const ComputeSettings& settings_;
};

}  // namespace holdfast
