package millrace.interop;

import java.io.PrintStream;

/** Writes rows to stdout, one per line: store, key, window start (−1 for tables), value, timestamp, apart by tabs; after all rows `end`. */
final class RowWriter {
  private static final long NO_WINDOW = -1;
  private final PrintStream out = System.out;

  void window(String store, String key, long start, Object value, long timestamp) {
    out.println(String.join("\t", "row", store, key, Long.toString(start), value.toString(), Long.toString(timestamp)));
  }

  void table(String store, String key, Object value, long timestamp) {
    window(store, key, NO_WINDOW, value, timestamp);
  }

  void end() {
    out.println("end");
    out.flush();
  }
}
