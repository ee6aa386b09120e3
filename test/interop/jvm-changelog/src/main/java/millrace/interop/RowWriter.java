package millrace.interop;

/** Gathers rows and writes them to stdout, one per line: store, key, window start (−1 in tables), value, timestamp, apart by tabs; after all of them `end`. */
final class RowWriter {
  private static final long NO_WINDOW = -1;
  private final StringBuilder lines = new StringBuilder();

  void window(String store, String key, long start, Object value, long timestamp) {
    String line = String.join("\t", "row", store, key, Long.toString(start), value.toString(), Long.toString(timestamp));
    lines.append(line).append('\n');
  }

  void table(String store, String key, Object value, long timestamp) {
    window(store, key, NO_WINDOW, value, timestamp);
  }

  void write() {
    System.out.print(lines.append("end\n"));
    System.out.flush();
  }
}
