"""MethodContract: what every registered method must keep, run over the whole registry."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from pydantic import ValidationError
from small_methods import SMALL, batch, build
from torch import Tensor

from saropt.methods import Method, get_method, list_methods
from saropt.networks import build_network

PROGRESS = (0.0, 0.4, 0.8)
DIRECTIONS = {"reference": ("sar+sarref+optref2opt", "sar+optref2opt")}
"""Directions of methods that do not translate both ways."""


def owners(method: Method) -> dict[str, set[str]]:
    """Parameter names that each optimizer steps."""
    names = {id(p): key for key, p in method.named_parameters()}
    return {
        name: {names[id(p)] for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in method.optimizers().items()
    }


def values(method: Method) -> dict[str, Tensor]:
    return {key: p.detach().clone() for key, p in method.named_parameters()}


def cases() -> list[tuple[str, dict]]:
    result = []
    for name in list_methods():
        has_direction = "direction" in get_method(name).config_type.model_fields
        directions = DIRECTIONS.get(name, ("sar2opt", "opt2sar"))
        result += [(name, {"direction": d}) for d in directions] if has_direction else [(name, {})]
    return result


def test_the_registry_is_known_here():
    assert set(SMALL) <= set(list_methods())


@pytest.mark.parametrize(("name", "changes"), cases(), ids=lambda case: case if isinstance(case, str) else None)
class TestMethodContract:
    BANDS: ClassVar = [(1, 3), (2, 3), (1, 4), (2, 4)]

    @pytest.mark.parametrize(("sar_bands", "optical_bands"), BANDS)
    def test_steps_change_exactly_their_own_parameters(self, name, changes, sar_bands, optical_bands):
        method = build(name, sar_bands, optical_bands, **changes)
        optimizers, owned = method.optimizers(), owners(method)
        assert set().union(*owned.values()) == set(dict(method.named_parameters()))
        stepped = set()
        for progress in PROGRESS:
            for optimizer_name, losses in method.updates(batch(sar_bands, optical_bands), progress):
                assert losses
                assert all(loss.shape == () and torch.isfinite(loss) for loss in losses.values())
                before = values(method)
                optimizers[optimizer_name].zero_grad()
                torch.stack(list(losses.values())).sum().backward()
                optimizers[optimizer_name].step()
                changed = {key for key, value in values(method).items() if not torch.equal(value, before[key])}
                assert changed
                assert changed <= owned[optimizer_name]
                stepped.add(optimizer_name)
        assert stepped == set(optimizers)

    def test_no_gradient_leaks_into_other_networks(self, name, changes):
        """Backward of a loss reaches parameters of its own optimizer only; all are trainable again afterwards."""
        method = build(name, **changes)
        owned = owners(method)
        for progress in PROGRESS:
            for optimizer_name, losses in method.updates(batch(), progress):
                method.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                reached = {key for key, p in method.named_parameters() if p.grad is not None}
                assert reached
                assert reached <= owned[optimizer_name]
            assert all(p.requires_grad for p in method.parameters())

    def test_every_parameter_gets_a_gradient(self, name, changes):
        method = build(name, **changes)
        reached = set()
        for progress in PROGRESS:
            for _, losses in method.updates(batch(), progress):
                method.zero_grad(set_to_none=True)
                torch.stack(list(losses.values())).sum().backward()
                reached |= {key for key, p in method.named_parameters() if p.grad is not None}
        assert reached == set(dict(method.named_parameters()))

    @pytest.mark.parametrize(("sar_bands", "optical_bands"), BANDS)
    def test_generators_translate_in_the_stated_direction(self, name, changes, sar_bands, optical_bands):
        method = build(name, sar_bands, optical_bands, **changes)
        generators = method.generators()
        assert generators
        if "direction" in changes:
            assert list(generators) == [changes["direction"]]
        for direction, generator in generators.items():
            source, target = batch(sar_bands, optical_bands).pair(direction)
            further = sum(len(image.bands) for image in method.further_outputs(direction))
            assert method.channels(direction) == (source.shape[1], target.shape[1] + further)
            with torch.no_grad():
                output = generator.eval()(source)
            assert output.shape[1] == target.shape[1] + further
            assert output[:, : target.shape[1]].shape == target.shape
            assert generator.stride >= 1

    def test_network_of_a_direction_rebuilds_its_generator(self, name, changes):
        method = build(name, **changes)
        for direction, generator in method.generators().items():
            network, arguments = method.network_of(direction)
            build_network(network, *method.channels(direction), **arguments).load_state_dict(generator.state_dict())

    def test_same_seed_same_losses(self, name, changes):
        runs = []
        for _ in range(2):
            method = build(name, **changes)
            torch.manual_seed(3)
            runs.append([{k: v.item() for k, v in losses.items()} for _, losses in method.updates(batch(), 0.8)])
        assert runs[0] == runs[1]

    def test_learning_rates_stay_between_zero_and_one(self, name, changes):
        method = build(name, **changes)
        for optimizer in method.optimizers():
            factors = [method.learning_rate_factor(optimizer, step / 50) for step in range(50)]
            assert all(0.0 <= factor <= 1.0 for factor in factors)
            assert max(factors) == pytest.approx(1.0)

    def test_unknown_keys_are_refused(self, name, changes):
        config_type = get_method(name).config_type
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            config_type(**changes, lambda_magic=1.0)
        if changes:
            with pytest.raises(ValidationError, match="a direction needs inputs"):
                config_type(direction="sar2sar")

    def test_names_its_paper(self, name, changes):
        cls = get_method(name)
        assert cls.name == name
        assert len(cls.paper) > 10
        assert cls.__doc__
