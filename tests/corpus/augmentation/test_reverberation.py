"""Rooms: image sources against a slow loop, the decay against the time asked for, impulse responses from files."""

from itertools import product

import numpy as np
import pytest
import soundfile

from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.reverberation import EARLY, SOUND, convolved, image_sources, reverb, room, shoebox
from tests.corpus.augmentation.signals import RATE, delay, rirs, voice

SIZE = np.array([5.0, 4.0, 3.0])
TALKER, MICROPHONE = np.array([1.0, 2.5, 1.6]), np.array([3.7, 1.2, 1.1])


def mirrored_images(size, talker, microphone, farthest):
    """Distance and bounces of every image source, found by mirroring sources at the six walls again and again."""
    found, fresh = {}, {tuple(np.round(talker, 9)): 0}
    while fresh:
        found |= fresh
        following = {}
        for (place, bounces), axis, wall in product(fresh.items(), range(3), (0, 1)):
            image = list(place)
            image[axis] = round(2 * wall * size[axis] - image[axis], 9)
            if np.linalg.norm(np.subtract(image, microphone)) <= farthest + size.sum():
                following.setdefault(tuple(image), bounces + 1)
        fresh = {place: bounces for place, bounces in following.items() if place not in found}
    pairs = [(np.linalg.norm(np.subtract(place, microphone)), bounces) for place, bounces in found.items()]
    return sorted((round(d, 6), b) for d, b in pairs if d <= farthest)


def test_the_images_are_those_that_mirroring_at_the_walls_gives():
    distance, bounces = image_sources(SIZE, TALKER, MICROPHONE, 12.0)
    ours = sorted(zip(np.round(distance, 6).tolist(), bounces.tolist(), strict=True))
    assert ours == mirrored_images(SIZE, TALKER, MICROPHONE, 12.0)


def test_the_direct_sound_comes_first_at_its_distance():
    response = shoebox(SIZE, TALKER, MICROPHONE, 0.4, np.random.default_rng(0))
    distance = np.linalg.norm(TALKER - MICROPHONE)
    first = np.flatnonzero(response)[0]
    assert first == round(distance / SOUND * RATE)
    assert response[first] == pytest.approx(1 / (4 * np.pi * distance), rel=0.02)


@pytest.mark.parametrize("rt60", [0.2, 0.4, 0.8])
def test_the_sound_decays_by_60_dB_in_the_time_asked_for(rt60):
    """Schroeder's integration; the slope between -5 and -25 dB, the mean of several rooms."""
    slopes = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        size = random.uniform([4, 4, 2.5], [8, 7, 4])
        talker, microphone = random.uniform(0.5, size - 0.5, (2, 3))
        response = shoebox(size, talker, microphone, rt60, random)
        left = 10 * np.log10(np.cumsum(np.square(response)[::-1])[::-1] / np.square(response).sum() + 1e-30)
        inside = np.flatnonzero((left < -5) & (left > -25))
        slopes.append(np.polyfit(inside / RATE, left[inside], 1)[0])
    assert -60 / np.mean(slopes) == pytest.approx(rt60, rel=0.15)


def test_noise_goes_on_where_the_images_end_at_their_power():
    power = {"before": [], "after": []}
    around = int(EARLY * RATE)
    for seed in range(30):
        random = np.random.default_rng(seed)
        talker, microphone = random.uniform(0.5, SIZE - 0.5, (2, 3))
        response = np.square(shoebox(SIZE, talker, microphone, 0.5, random))
        power["before"].append(response[around - 240 : around].mean())
        power["after"].append(response[around + 1 : around + 241].mean())
    assert np.mean(power["after"]) == pytest.approx(np.mean(power["before"]), rel=0.5)


def test_convolution_is_that_of_a_slow_loop_without_the_responses_delay():
    samples, response = voice(600), np.zeros(200, np.float32)
    response[[50, 60, 199]] = 1.0, -0.5, 0.3
    slow = np.convolve(samples.astype(np.float64), response / np.linalg.norm(response))[50:650]
    assert np.allclose(convolved(samples, response), slow, atol=1e-6)


def test_a_folder_of_responses_is_used_without_their_delay(tmp_path):
    folder = AudioFolder(rirs(tmp_path / "rirs"))
    samples = voice()
    for seed in range(6):
        assert abs(delay(samples, reverb(samples, np.random.default_rng(seed), path=folder))) <= 1


def test_of_a_response_with_many_channels_the_first_is_taken(tmp_path):
    pulse = np.zeros((100, 2))
    pulse[0, 0], pulse[7, 1] = 1, 1
    soundfile.write(tmp_path / "a.wav", pulse, RATE, subtype="FLOAT")
    samples = voice(1600)
    assert np.allclose(reverb(samples, np.random.default_rng(0), path=AudioFolder(tmp_path)), samples, atol=1e-6)


def test_every_crop_has_a_room_of_its_own_and_the_speech_stays_in_place():
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    made = [room(samples, np.random.default_rng(seed)) for seed in range(4)]
    assert all(not np.allclose(made[0], other) for other in made[1:])
    assert all(abs(delay(samples, other)) <= 1 for other in made)
