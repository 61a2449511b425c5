"""The Streamlit app: `wayline app`, or `streamlit run app.py`."""

from engine.ui import navigation

navigation.run()
