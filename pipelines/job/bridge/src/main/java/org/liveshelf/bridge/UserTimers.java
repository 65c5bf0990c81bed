package org.liveshelf.bridge;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.types.Row;

/** The timers that this operator sets. Those of a restored checkpoint are not known here: they fire. */
final class UserTimers {
    private final Map<String, Long> times = new HashMap<>();
    private final InternalTimerService<VoidNamespace> timers;
    private final Consumer<Object> setKey;
    private final boolean replaces;

    /** replaces: whether each user has one timer, the newest; its time is kept on the heap until it fires. */
    UserTimers(InternalTimerService<VoidNamespace> timers, Consumer<Object> setKey, boolean replaces) {
        this.timers = timers;
        this.setKey = setKey;
        this.replaces = replaces;
    }

    /** Sets a timer of the user. */
    void set(Row key, long inMs) {
        setKey.accept(key);
        long at = timers.currentProcessingTime() + inMs;
        Long before = replaces ? times.put(user(key), at) : null;
        if (before != null && before != at) {
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, before);
        }
        timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, at);
    }

    /** Deletes the timer that was set last. */
    void takeBack(Row key) {
        Long at = times.remove(user(key));
        if (at != null) {
            setKey.accept(key);
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, at);
        }
    }

    /** A timer has fired. */
    void fired(Row key, long at) {
        times.remove(user(key), at);
    }

    private static String user(Row key) {
        return (String) key.getField(0);
    }
}
