"""When recorded steps grow stale. A replay repeats kernel calls and no Python, so whatever Python would now do
differently outdates every recording: a parameter in other memory, another hyperparameter, a hook, another layer."""


class _Recordings:
    """How often what steps are made of has changed; a recording of an earlier ``version`` is stale."""

    version = 0

    def outdate(self) -> None:
        """Make every recording stale."""
        self.version += 1


recordings = _Recordings()
