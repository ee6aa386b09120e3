package io.millrace.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** A point in time: the wall clock, and the CPU that all threads have used until then. */
record Moment(long nanos, long cpuNanos) {
  static Moment now() {
    var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return new Moment(System.nanoTime(), system.getProcessCpuTime());
  }

  /** What happened since, as a line for whoever started us. */
  String measurementUntil(Moment end, long records, double dropped) {
    return String.format(
        Locale.ROOT,
        "{\"event\":\"done\",\"records\":%d,\"seconds\":%.6f,\"cpuMicros\":%.0f,\"peakBytes\":%s,\"dropped\":%.0f}",
        records, (end.nanos - nanos) / 1e9, (end.cpuNanos - cpuNanos) / 1e3, peakBytes(), dropped);
  }

  /** The largest resident set so far; null where there is no /proc. */
  private static String peakBytes() {
    try (var lines = Files.lines(Path.of("/proc/self/status"))) {
      return lines.filter(line -> line.startsWith("VmHWM:")).findFirst()
          .map(line -> String.valueOf(Long.parseLong(line.replaceAll("\\D", "")) * 1024)).orElse("null");
    } catch (IOException e) {
      return "null";
    }
  }
}
