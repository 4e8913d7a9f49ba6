from relay.storage.backoff import Backoff


def test_waits_between_restarts_begin_at_once_and_double_up_to_the_most() -> None:
    backoff = Backoff(first_s=0.1, most_s=5.0)

    waits = [backoff.after(1.0) for _ in range(9)]

    assert [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] == waits


def test_waits_begin_anew_after_a_time_of_health() -> None:
    backoff = Backoff(healthy_s=30.0)
    for _ in range(5):
        backoff.after(29.9)

    waits = [backoff.after(30.0), backoff.after(0.0)]

    assert [0.0, 0.1] == waits
