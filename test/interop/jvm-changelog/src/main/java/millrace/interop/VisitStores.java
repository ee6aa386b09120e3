package millrace.interop;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;

/** The program of test/interop/visit-topology.ts in the DSL of Kafka Streams: the same stores, by the same names. */
final class VisitStores {
  static final Duration MINUTE = Duration.ofMinutes(1);
  static final Duration DAY = Duration.ofDays(1);
  private static final Duration ADVANCE = Duration.ofSeconds(20);
  private static final Duration GRACE = Duration.ofMinutes(2);
  private static final Duration RETENTION = Duration.ofHours(1);
  private static final Duration DAY_RETENTION = Duration.ofDays(7);

  /** Window stores with their values and the size of their windows. */
  static final Map<String, WindowRows> WINDOWS =
      Map.of(
          "visits-per-minute", new WindowRows(MINUTE, Serdes.Long()),
          "amount-per-minute", new WindowRows(MINUTE, Serdes.Double()),
          "visits-per-day", new WindowRows(DAY, Serdes.Long()));

  /** Key-value stores; all of them hold whole numbers. */
  static final List<String> TABLES = List.of("visits", "present", "visits-per-user");

  record WindowRows(Duration size, Serde<?> values) {}

  /** What a value says, as `user kind amount`. */
  private record Visit(String user, boolean enters, double amount) {
    static Visit of(String value) {
      String[] parts = value.split(" ");
      return new Visit(parts[0], parts[1].equals("in"), Double.parseDouble(parts[2]));
    }
  }

  static Topology topology(String input) {
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, String> visits = builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()));
    KGroupedStream<String, String> byPage = visits.groupByKey();
    TimeWindows minutes = TimeWindows.ofSizeAndGrace(MINUTE, GRACE);
    byPage.windowedBy(minutes).count(counted("visits-per-minute", RETENTION));
    byPage
        .windowedBy(minutes.advanceBy(ADVANCE))
        .aggregate(
            () -> 0.0,
            (page, value, sum) -> sum + Visit.of(value).amount(),
            Materialized.<String, Double, WindowStore<Bytes, byte[]>>as("amount-per-minute")
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Double())
                .withRetention(RETENTION));
    byPage.windowedBy(TimeWindows.ofSizeAndGrace(DAY, GRACE)).count(counted("visits-per-day", DAY_RETENTION));
    byPage.count(table("visits"));
    byPage.aggregate(
        () -> 0L,
        (page, value, present) -> {
          long now = present + (Visit.of(value).enters() ? 1 : -1);
          return now == 0 ? null : now;
        },
        table("present"));
    visits
        .groupBy((page, value) -> Visit.of(value).user(), Grouped.with("by-user", Serdes.String(), Serdes.String()))
        .count(table("visits-per-user"));
    return builder.build();
  }

  private static Materialized<String, Long, WindowStore<Bytes, byte[]>> counted(String store, Duration retention) {
    return Materialized.<String, Long, WindowStore<Bytes, byte[]>>as(store)
        .withKeySerde(Serdes.String())
        .withValueSerde(Serdes.Long())
        .withRetention(retention);
  }

  private static Materialized<String, Long, KeyValueStore<Bytes, byte[]>> table(String store) {
    return Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as(store)
        .withKeySerde(Serdes.String())
        .withValueSerde(Serdes.Long());
  }

  private VisitStores() {}
}
