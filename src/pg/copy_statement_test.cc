#include <gtest/gtest.h>

#include "base/error.h"
#include "pg/archive.h"

namespace holdfast {
namespace {

void expect_parts(const std::string& statement, const std::string& table,
                  const std::string& columns) {
  CopyTarget target = parse_copy_statement(statement);
  EXPECT_EQ(target.table, table) << statement;
  EXPECT_EQ(target.columns, columns) << statement;
}

TEST(CopyStatement, TakesApartWhatPgDumpWrites) {
  expect_parts("COPY public.t (a, b_2) FROM stdin;\n", "public.t", "(a, b_2)");
  expect_parts("COPY public.t (a) FROM stdin;", "public.t", "(a)");
  expect_parts("COPY public.nothing  FROM stdin;\n", "public.nothing", "");
  expect_parts("COPY t (a) FROM stdin;\n", "t", "(a)");
  expect_parts("COPY \"Odd \"\"Schema\".\"T\" (\"A\", \"B c\") FROM stdin;\n",
               "\"Odd \"\"Schema\".\"T\"", "(\"A\", \"B c\")");
}

TEST(CopyStatement, IdentifiersMayHoldAnything) {
  expect_parts(
      "COPY care.\"tab;le (x) FROM stdin;\" (a, \"b)c\", \"d \"\" e\", \"nl\nx\", \"ü\") "
      "FROM stdin;\n",
      "care.\"tab;le (x) FROM stdin;\"", "(a, \"b)c\", \"d \"\" e\", \"nl\nx\", \"ü\")");
  expect_parts("COPY \"FROM stdin;\n\".\"\"\"\" (\"COPY x (a) FROM stdin;\n\") FROM stdin;\n",
               "\"FROM stdin;\n\".\"\"\"\"", "(\"COPY x (a) FROM stdin;\n\")");
  expect_parts("COPY \"a.b\".\"c.d\"  FROM stdin;\n", "\"a.b\".\"c.d\"", "");
}

TEST(CopyStatement, RefusesEverythingElse) {
  for (const char* statement : {
           "",
           "COPY",
           "COPY ",
           "COPY public.t (a) FROM stdin",
           "COPY public.t (a) FROM stdin; DROP TABLE x;",
           "COPY public.t (a) FROM '/etc/passwd';",
           "COPY public.t (a) FROM PROGRAM 'id';",
           "COPY public.t (a) TO stdout;",
           "COPY public.t (a) WITH OIDS FROM stdin;",
           "COPY public.t (a) FROM stdin WITH CSV;",
           "COPY public.t () FROM stdin;",
           "COPY public.t (a,) FROM stdin;",
           "COPY public.t (a b) FROM stdin;",
           "COPY public.t (a FROM stdin;",
           "COPY public. (a) FROM stdin;",
           "COPY .t (a) FROM stdin;",
           "COPY public.\"t (a) FROM stdin;",
           "COPY public.\"\" (a) FROM stdin;",
           "COPY public.tFROM stdin;",
           "COPY public.t (a) FROMstdin;",
           "COPYx public.t (a) FROM stdin;",
           "COPY (SELECT 1) FROM stdin;",
           "COPY 1t (a) FROM stdin;",
           "INSERT INTO t VALUES (1);",
       }) {
    try {
      parse_copy_statement(statement);
      ADD_FAILURE() << statement;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unsupported) << statement;
    }
  }
}

}  // namespace
}  // namespace holdfast
